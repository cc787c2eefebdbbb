"""Nothing assumes the CPU: whole codings on a pretend accelerator that refuses to mix devices."""

from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "pretend_device.py"
CASES = [
    ("wan22-ti2v", "i2v", "trajectory"),
    ("ltx-condition", "flf2v", "png"),
    ("ltx2-i2v", "i2v", "png"),
    ("mochi-t2v", "t2v", "png"),
]


@pytest.mark.parametrize(("name", "mode", "still"), CASES)
def test_a_clip_is_coded_on_another_device(name, mode, still, process, tmp_path):
    env = {"HF_HUB_OFFLINE": "1", "RFCODEC_CACHE": str(tmp_path / "cache")}
    outcome = process(PROGRAM, tmp_path, name, mode, still, env=env)
    assert outcome.status == 0, outcome.err[-3000:]
    assert "DIGESTS [True, True]" in outcome.out
