"""Curves of a run as a picture: what is left of the Wiener estimate's error, and what was checked."""

from pathlib import Path

from rfcodec.backbones.tiny.training.train import read_log
from rfcodec.errors import ConfigError
from rfcodec.support.files import replacing


def draw(run: Path) -> Path:
    """Draws the log of a run as curves.png beside it; raises ConfigError without matplotlib."""
    try:
        # here, because it is no requirement of the package and writes a cache where it is imported
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ConfigError("curves need the package matplotlib: pip install 'rfcodec[benchmarks]'") from error

    entries = read_log(run)
    losses = [(e["step"], e["training"]) for e in entries if "training" in e]
    checks = [(e["step"], e["held_back"]) for e in entries if "held_back" in e]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(*zip(*losses, strict=True), linewidth=1)
    left.set(xlabel="step", title="crops for training, all times", ylabel="share of the Wiener estimate's error")
    for name in checks[0][1] if checks else ():
        right.plot([step for step, _ in checks], [found[name] for _, found in checks], marker=".", label=name)
    right.set(xlabel="step", title="crops that were held back")
    right.legend()
    for axis in (left, right):
        axis.grid(alpha=0.3)
    path = run / "curves.png"
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110)
    plt.close(figure)
    return path
