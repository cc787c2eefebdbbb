"""Nothing assumes the CPU: whole codings on a pretend accelerator that refuses to mix devices."""

from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "pretend_device.py"
CASES = [("wan22-ti2v", "i2v", "trajectory"), ("tiny", "flf2v", "png")]
MORE = [("ltx-condition", "flf2v", "png"), ("ltx2-i2v", "i2v", "png"), ("mochi-t2v", "t2v", "png")]


@pytest.mark.parametrize("cases", [CASES, pytest.param(MORE, marks=pytest.mark.slow)], ids=["few", "more"])
def test_clips_are_coded_on_another_device(cases, process, tmp_path):
    env = {"HF_HUB_OFFLINE": "1", "RFCODEC_CACHE": str(tmp_path / "cache")}
    outcome = process(PROGRAM, tmp_path, *map(":".join, cases), env=env)
    assert outcome.status == 0, outcome.err[-3000:]
    told = [line for line in outcome.out.splitlines() if line.startswith("DIGESTS")]
    assert told == [f"DIGESTS {' '.join(case)} [True, True]" for case in cases]
