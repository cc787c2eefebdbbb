import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "compare_codebooks.py"


def test_efficiency_as_a_file_from_any_folder(tmp_path):
    words = "--dims 2304 --bits 40 --bits 60 --codebooks trellis --seeds 3 4 --json rows.json"
    subprocess.run([sys.executable, PROGRAM, "efficiency", *words.split()], cwd=tmp_path, check=True, capture_output=True)
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [(row["codebook"], row["bits"], row["seed"]) for row in rows] == [
        ("trellis", b, s) for b in (40, 60) for s in (3, 4)
    ]
    for row in rows:
        assert not row["simulated"]
        assert 0.2 < row["efficiency"] < 1.6
        assert min(row["choose_seconds"], row["replay_seconds"]) > 0
        assert row["peak_memory_mb"] > 50
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".png", ".svg"}
