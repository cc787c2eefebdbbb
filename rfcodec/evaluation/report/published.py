"""What others have published, as data, to stand beside what is measured here."""

import tomllib
from functools import lru_cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field

MEAN = "mean"


class Figures(BaseModel):
    """Published figures of one sequence or of a mean; None where nothing was published.

    `paper_bpp` is as printed; `true_bpp` are the same bits over pixels; `kbps` at the paper's nominal speed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    psnr: float | None = None
    ms_ssim: float | None = None
    lpips: float | None = None
    paper_bpp: float | None = None
    true_bpp: float | None = None
    kbps: float | None = None


class PublishedTable(BaseModel):
    """A table: figures by mode (t2v, i2v, flf2v), then by sequence or "mean"; under which protocol they were taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    source: str
    dataset: str
    size: tuple[int, int]
    gops: int | None = Field(default=None, description="first GOPs of each sequence; None: all whole ones")
    per_sample: bool = Field(default=False, description="whether paper_bpp are bits over colour samples")
    modes: dict[str, dict[str, Figures]]

    def figures(self, mode: str, sequence: str) -> Figures:
        """Those of one sequence, or of the mean; empty ones where none were published."""
        return self.modes.get(mode, {}).get(sequence, Figures())


@lru_cache(maxsize=1)
def published() -> dict[str, PublishedTable]:
    """The tables of GVCC (arXiv 2603.26571) and its successor, by id."""
    text = (files("rfcodec.evaluation.report") / "gvcc_published.toml").read_text()
    return {name: PublishedTable(**table) for name, table in tomllib.loads(text).items()}
