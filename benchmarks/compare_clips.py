"""Comparisons on real clips: default against the gvcc preset, settings, still coders, split of FLF2V's bytes, tails of I2V.

    python benchmarks/compare_clips.py presets CLIPS... --lpips-weights DIR
    python benchmarks/compare_clips.py settings CLIPS... --try "trajectory.steps=8 profile=backbone" --try ...
    python benchmarks/compare_clips.py stills | split | tails CLIPS...

Each is a sweep below --runs, which goes on where it was stopped, and writes a JSON and a plot below --out. Streams are
measured as their encoder shows them, which is what a decoder shows. Seconds to minutes a point.

    python benchmarks/compare_clips.py again benchmarks/results/clips/*.json

makes the summaries of such JSON files from their points again, by the rules of today.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast, final

import numpy as np
import typer
from torch import Tensor

import rfcodec
from codebooks.simulated import SimulatedGvcc
from conditioning.corrections import ZlibCorrector
from conditioning.i2v import ImageToVideo
from rfcodec.evaluation.report.bd import bd_rate, rate_at
from rfcodec.evaluation.report.curves import rd_curve
from rfcodec.evaluation.report.grids import Grid, panels, read, save, show, write
from rfcodec.evaluation.store import Point
from rfcodec.evaluation.sweep.description import CodecCurve, StillCurve, read_sweep
from rfcodec.evaluation.sweep.session import Workers, points_of
from rfcodec.research import Corrector, Shape, StillCoder, registered
from rfcodec.support.command_line import guarded
from rfcodec.support.console import PlainConsole
from rfcodec.support.words import parse_settings

FOLDER = Path("benchmarks/results/clips")
SIMULATED, ON_TOP = "gvcc-simulated", "i2v-gvcc-on-top"
ANY_SIZE = 1 << 40
METRICS = ("psnr", "lpips")
EVEN, RESIDUAL = "avif, even split", "zlib residual"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
err = PlainConsole(stderr=True)

Clips = Annotated[list[Path], typer.Argument(metavar="CLIPS...", help="Videos.")]
Out = Annotated[Path, typer.Option(help="Folder for JSON and plots.")]
Runs = Annotated[Path, typer.Option(help="Folder for the points of the sweep.")]
Size = Annotated[str, typer.Option(metavar="WxH", help="Scaled to this size.")]
Length = Annotated[int, typer.Option("--frames", help="Frames of each clip.")]
Backbone = Annotated[str, typer.Option(help="Backbone.")]
Weights = Annotated[Path | None, typer.Option("--lpips-weights", metavar="DIR", help="AlexNet weights of LPIPS.")]
Rates = Annotated[list[float] | None, typer.Option(help="Rates, in bits a pixel of the whole file.")]
HERE = Path("clip-runs")
Curve = CodecCurve | StillCurve
Curves = dict[str, dict[str, list[Point]]]  # points by method and clip, by rising rate


@final
class ResidualOnTop:
    """GVCC's residual, which has one size only, on top of the budget, as GVCC's own files count it."""

    ID: ClassVar[int] = ZlibCorrector.ID

    def __init__(self) -> None:
        self._inner = ZlibCorrector()

    def encode(self, residual: Tensor, max_bytes: int) -> bytes:
        """The residual, whatever it takes."""
        return self._inner.encode(residual, ANY_SIZE)

    def decode(self, data: bytes, shape: Shape) -> Tensor:
        """As GVCC's."""
        return self._inner.decode(data, shape)


@final
class ImageToVideoOnTop:
    """I2V with that residual."""

    ID: ClassVar[int] = 126
    chained: ClassVar[bool] = ImageToVideo.chained

    def __init__(self, still: StillCoder, prompt: str) -> None:
        self.corrector: Corrector | None = ResidualOnTop()
        self._inner = ImageToVideo(still, prompt, self.corrector)
        self.plan, self.emit, self.read = self._inner.plan, self._inner.emit, self._inner.read


@final
@dataclass(frozen=True)
class Setting:
    """What all methods of a comparison share: frames, size, workers and places."""

    clips: Sequence[Path]
    size: str
    frames: int
    runs: Path
    weights: Path | None = None

    def measure(self, curves: Sequence[Curve]) -> Curves:
        """Codes every clip by every method at every rate."""
        told = {"clips": [str(clip) for clip in self.clips], "frames": f"0:{self.frames}", "size": self.size}
        told |= {"curves": [curve.model_dump() for curve in curves], "metrics": METRICS, "bounds": False, "decode": False}
        workers = Workers(1, "serial", {}, weights=self.weights)
        points = points_of(err, read_sweep(None, told), self.runs, workers)
        return grouped(points, [curve.name for curve in curves])


def grouped(points: Sequence[Point], methods: Sequence[str]) -> Curves:
    """Points by method and clip."""
    clips = list(dict.fromkeys(point["clip"] for point in points))
    ordered = sorted(points, key=lambda point: point["rate"]["bpp"])
    return {m: {c: [p for p in ordered if (p["curve"], p["clip"]) == (m, c)] for c in clips} for m in methods}


def measured(curves: Curves) -> list[str]:
    """The metrics that every point has."""
    points = [p for by_clip in curves.values() for some in by_clip.values() for p in some]
    return [metric for metric in METRICS if all(p["metrics"].get(metric) is not None for p in points)]


def finish(name: str, curves: Curves, summary: Mapping[str, Any], out: Path) -> None:
    """JSON of every point, and PSNR over bits a pixel, a panel for each clip."""
    kept = {method: [_row(p) for some in by_clip.values() for p in some] for method, by_clip in curves.items()}
    write(out / f"{name}.json", {"summary": summary, "points": kept})
    clips = list(next(iter(curves.values())))
    figure, axes = panels(1, len(clips), (4 * len(clips), 3.6))
    for axis, clip in zip(axes[0], clips, strict=True):
        for method, by_clip in curves.items():
            rates, values = zip(*((p["rate"]["bpp"], p["metrics"]["psnr"]) for p in by_clip[clip]), strict=True)
            axis.plot(rates, values, "o-", label=method, markersize=3)
        axis.set(title=clip, xlabel="bits a pixel", ylabel="PSNR, dB", xscale="log")
    axes[0][0].legend(fontsize=7)
    save(figure, out / f"{name}.json")


def _row(point: Point) -> dict[str, Any]:
    rate = {"clip": point["clip"], "bytes": point["stream"]["bytes"], "bpp": point["rate"]["bpp"]}
    return rate | {metric: point["metrics"].get(metric) for metric in METRICS}


def _point(method: str, row: Mapping[str, Any]) -> Point:
    kept = {"clip": row["clip"], "curve": method, "rate": {"bpp": row["bpp"]}, "stream": {"bytes": row["bytes"]}}
    return cast(Point, kept | {"metrics": {metric: row[metric] for metric in METRICS}})


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of those that are there."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def shown(value: float | None, form: str = "{:+.1f} %") -> str:
    """A number for a table."""
    return "-" if value is None else form.format(value)


def shares(curves: Curves, anchor: str, test: str, metric: str) -> dict[str, dict[str, float | None]]:
    """Bits of `test` for what each point of the anchor reaches, over the anchor's, by clip and rate, and their means.

    None outside the range of the test's points; means are over the clips that have a value. Rates are the first clip's.
    """
    words = [f"{p['rate']['bpp']:.2g}" for p in next(iter(curves[anchor].values()))]
    found: dict[str, dict[str, float | None]] = {}
    for clip, points in curves[anchor].items():
        line = rd_curve(curves[test][clip], metric)
        rates = [(p["rate"]["bpp"], rate_at(line, p["metrics"][metric])) for p in points]
        found[clip] = {word: equal and equal / bpp for word, (bpp, equal) in zip(words, rates, strict=True)}
    return found | {"mean": {word: mean_of([by_rate[word] for by_rate in found.values()]) for word in words}}


def savings(curves: Curves, anchor: str, test: str) -> dict[str, dict[str, float | None]]:
    """BD-rate in percent by metric and clip, and its mean over the clips that have one."""
    found: dict[str, dict[str, float | None]] = {}
    for metric in measured(curves):
        lines = {m: {clip: rd_curve(points, metric) for clip, points in curves[m].items()} for m in (anchor, test)}
        by_clip = {clip: bd_rate(line, lines[test][clip]).value for clip, line in lines[anchor].items()}
        found[metric] = {"mean": mean_of(list(by_clip.values()))} | by_clip
    return found


@app.command()
def presets(
    clips: Clips,
    out: Out = FOLDER,
    runs: Runs = HERE,
    size: Size = "208x120",
    frames: Length = 17,
    backbone: Backbone = "gaussian",
    lpips_weights: Weights = None,
    steps: Annotated[int, typer.Option(help="Model evaluations.")] = 20,
    bpp: Annotated[list[float] | None, typer.Option(help="Rates of GVCC; 0.09 is 0.03 bits a dimension in pixels.")] = None,
    own_bpp: Annotated[list[float] | None, typer.Option(help="Rates of the default; by default 0.4 of those.")] = None,
) -> None:
    """Bits of the default for what the gvcc preset reaches, T2V; GVCC's search is simulated, equal in distribution."""
    rates = tuple(bpp or [0.03, 0.06, 0.12, 0.25, 0.5])
    common: dict[str, Any] = {"gop": frames, "trajectory.steps": steps}
    tail = {"trajectory.ode_tail": max(1, round(3 * steps / 20))}
    gvcc = CodecCurve(label="gvcc", preset="gvcc", codebook=SIMULATED, backbone=backbone, set=common | tail, values=rates)
    own = tuple(own_bpp or [0.4 * rate for rate in rates])
    default = CodecCurve(label="default", backbone=backbone, set=common, values=own)
    with registered("codebooks", SIMULATED, SimulatedGvcc):
        curves = Setting(clips, size, frames, runs, lpips_weights).measure([gvcc, default])
    summary = presets_summary(curves)
    finish(f"presets-{Path(backbone).name}-{steps}", curves, summary, out)
    metrics, names = measured(curves), [*curves["gvcc"], "mean"]
    columns = [(m, word) for m in metrics for word in summary["share_of_bytes"][m]["mean"]]
    rows = [
        [
            clip,
            *(shown(summary["bd_rate"][m][clip]) for m in metrics),
            *(shown(summary["share_of_bytes"][m][clip][word], "{:.2f}") for m, word in columns),
        ]
        for clip in names
    ]
    head = ["clip", *(f"BD {m}" for m in metrics), *(f"{m} {word}" for m, word in columns)]
    show([Grid(f"BD-rate and share of bytes of the default against gvcc, {steps} evaluations", head, rows)])


def presets_summary(curves: Curves) -> dict[str, Any]:
    """BD-rates, and the default's shares of GVCC's bytes for its values, by metric, clip and rate."""
    equal = {metric: shares(curves, "gvcc", "default", metric) for metric in measured(curves)}
    return {"bd_rate": savings(curves, "gvcc", "default"), "share_of_bytes": equal}


@app.command()
def settings(
    clips: Clips,
    tried: Annotated[list[str], typer.Option("--try", metavar="'A.B=C ...'", help="Settings of one curve, as for --set.")],
    out: Out = FOLDER,
    runs: Runs = HERE,
    size: Size = "208x120",
    frames: Length = 17,
    backbone: Backbone = "tiny",
    mode: Annotated[str, typer.Option(help="Mode.")] = "t2v",
    lpips_weights: Weights = None,
    bpp: Rates = None,
) -> None:
    """Means over clips of PSNR and LPIPS at equal bytes, the settings as they are and with each change."""
    described = [_tried(words, backbone, mode, frames, bpp or [0.05]) for words in ("", *tried)]
    curves = Setting(clips, size, frames, runs, lpips_weights).measure(described)
    summary = settings_summary(curves)
    finish(f"settings-{Path(backbone).name}-{mode}", curves, summary, out)
    rows = [
        [method, f"{row['bpp']:.3f}", f"{row['psnr']:.2f}", shown(row["lpips"], "{:.3f}")]
        for method, found in summary.items()
        for row in found
    ]
    show([Grid(f"means over {len(clips)} clips, {mode}", ["settings", "bpp", "PSNR dB", "LPIPS"], rows)])


def _tried(words: str, backbone: str, mode: str, gop: int, rates: Sequence[float]) -> CodecCurve:
    told = parse_settings(words.split())
    preset = told.pop("preset", None)
    usual = rfcodec.configure(preset)[0].backbone if preset else backbone  # a preset may name its own
    fixed = {"backbone": told.pop("backbone", usual), "mode": told.pop("mode", mode), "preset": preset or "default"}
    return CodecCurve(label=words or "default", set={"gop": gop} | told, values=tuple(rates), **fixed)


def settings_summary(curves: Curves) -> dict[str, Any]:
    """Means over clips, of the points of one rate each."""
    return {
        method: [
            {"bpp": mean_of([p["rate"]["bpp"] for p in points])}
            | {metric: mean_of([p["metrics"].get(metric) for p in points]) for metric in METRICS}
            for points in zip(*by_clip.values(), strict=True)
        ]
        for method, by_clip in curves.items()
    }


@app.command()
def stills(
    clips: Clips,
    out: Out = FOLDER,
    runs: Runs = HERE,
    size: Size = "352x200",
    backbone: Backbone = "gaussian",
    lpips_weights: Weights = None,
) -> None:
    """The trajectory still coder against AVIF at equal bytes: the first frame of each clip."""
    rates = (0.1, 0.2, 0.4, 0.8, 1.6)
    described = [StillCurve(still=still, backbone=backbone, values=rates) for still in ("avif", "trajectory")]
    curves = Setting(clips, size, 1, runs, lpips_weights).measure(described)
    summary = stills_summary(curves)
    finish(f"stills-{Path(backbone).name}", curves, summary, out)
    rows = [[clip, *(shown(summary[m][clip]) for m in summary)] for clip in [*curves["avif"], "mean"]]
    show([Grid("BD-rate of the trajectory still against AVIF", ["clip", *summary], rows)])


def stills_summary(curves: Curves) -> dict[str, Any]:
    """BD-rates."""
    return savings(curves, "avif", "trajectory")


@app.command()
def split(
    clips: Clips,
    out: Out = FOLDER,
    runs: Runs = HERE,
    size: Size = "208x120",
    frames: Length = 33,
    gop: Annotated[int, typer.Option(help="Frames of a GOP.")] = 17,
    backbone: Backbone = "gaussian",
    reference_weight: Annotated[list[float] | None, typer.Option(help="Weights of a reference to try.")] = None,
) -> None:
    """FLF2V: bytes for the PSNR of AVIF stills with an even split, over shares and still coders."""
    references = 1 + -(-(frames - 1) // (gop - 1))
    even = frames / gop / references  # references then weigh as much as all frames together
    weights = reference_weight or [0.1, 0.2, 0.3, 0.5]
    pairs = [(f"{still} {weight:g}", still, weight) for still in ("avif", "trajectory") for weight in weights]
    common = {"backbone": backbone, "mode": "flf2v", "values": (0.02, 0.04, 0.08, 0.16)}
    described = [
        CodecCurve(label=label, set={"gop": gop, "still": still, "reference_weight": weight}, **common)
        for label, still, weight in [(EVEN, "avif", even), *pairs]
    ]
    curves = Setting(clips, size, frames, runs).measure(described)
    summary = split_summary(curves)
    finish(f"split-{Path(backbone).name}", curves, summary, out)
    rows = [[m, *(shown(value) for value in found.values())] for m, found in summary.items()]
    show([Grid("BD-rate (PSNR) against AVIF stills and an even split", ["method", "mean", *curves[EVEN]], rows)])


def split_summary(curves: Curves) -> dict[str, Any]:
    """BD-rates of each method."""
    return {method: savings(curves, EVEN, method)["psnr"] for method in curves}


@app.command()
def tails(
    clips: Clips,
    out: Out = FOLDER,
    runs: Runs = HERE,
    size: Size = "208x120",
    frames: Length = 49,
    gop: Annotated[int, typer.Option(help="Frames of a GOP.")] = 17,
    backbone: Backbone = "gaussian",
    bpp: Annotated[list[float] | None, typer.Option(help="Rates of the trajectories; five of them.")] = None,
) -> None:
    """I2V chains of at least three GOPs: bytes at the mean PSNR of the same chain with GVCC's 8-bit zlib residual."""
    rates = tuple(bpp or [0.02, 0.04, 0.08, 0.16, 0.32])
    changes: dict[str, Any] = {f"weight {weight:g}": {"carried_weight": weight} for weight in (1.0, 1.5, 3.0)}
    changes["correction 0.15"] = {"correction_share": 0.15}
    described = [
        CodecCurve(label=label, backbone=backbone, mode="i2v", set={"gop": gop} | change, values=rates)
        for label, change in changes.items()
    ]
    fixed: dict[str, Any] = {"gop": gop, "correction_share": 0.02, "carried_weight": 1.0}
    described.append(CodecCurve(label=RESIDUAL, backbone=backbone, mode=ON_TOP, set=fixed, values=(rates[0], rates[2])))
    with registered("conditioners", ON_TOP, ImageToVideoOnTop):
        curves = Setting(clips, size, frames, runs).measure(described)
    summary = tails_summary(curves)
    finish(f"tails-{Path(backbone).name}", curves, summary, out)
    words = list(next(iter(summary.values()))["mean"])
    rows = [[m, *(shown(found["mean"][word], "{:.1%}") for word in words)] for m, found in summary.items()]
    show([Grid("bytes for the PSNR of the chain with GVCC's residual, means over clips", ["method", *words], rows)])


def tails_summary(curves: Curves) -> dict[str, Any]:
    """Shares of the residual's bytes for its PSNR, by method, clip and rate."""
    return {method: shares(curves, RESIDUAL, method, "psnr") for method in curves if method != RESIDUAL}


SUMMARIES: dict[str, Callable[[Curves], dict[str, Any]]] = {
    "presets": presets_summary,
    "settings": settings_summary,
    "stills": stills_summary,
    "split": split_summary,
    "tails": tails_summary,
}


@app.command()
def again(files: Annotated[list[Path], typer.Argument(help="JSON files that the other commands wrote.")]) -> None:
    """Makes summaries and plots from the points in JSON files again."""
    for file in files:
        rows = read(file)["points"]
        points = [_point(method, row) for method, some in rows.items() for row in some]
        curves = grouped(points, list(rows))
        finish(file.stem, curves, SUMMARIES[file.stem.partition("-")[0]](curves), file.parent)


if __name__ == "__main__":
    guarded(app)
