"""Comparisons on real clips: default against the gvcc preset, settings, still coders, split of FLF2V's bytes, tails of I2V.

    python -m benchmarks.compare_clips presets CLIPS... --lpips-weights DIR
    python -m benchmarks.compare_clips settings CLIPS... --try "trajectory.steps=8 profile=backbone" --try ...
    python -m benchmarks.compare_clips stills | split | tails CLIPS...

Each writes a JSON and a plot below --out and prints its table. Seconds to minutes a point.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.clip_runs import (
    Point,
    bd,
    bytes_at,
    encode_clip,
    encode_still,
    read_clip,
    residuals_on_top,
    share_for_equal,
    simulated_gvcc,
)
from rfcodec.metrics.quality import Lpips
from rfcodec.support.words import parse_settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(width=160)

Clips = Annotated[list[Path], typer.Argument(metavar="CLIPS...", help="Videos.")]
Out = Annotated[Path, typer.Option(help="Folder for JSON and plots.")]
Size = Annotated[str, typer.Option(metavar="WxH", help="Scaled to this size.")]
Length = Annotated[int, typer.Option("--frames", help="Frames of each clip.")]
Backbone = Annotated[str, typer.Option(help="Backbone.")]
Weights = Annotated[Path | None, typer.Option("--lpips-weights", metavar="DIR", help="AlexNet weights of LPIPS.")]
FOLDER = Path("benchmarks/results/clips")
Curves = dict[str, dict[str, list[Point]]]  # method, clip


def sweep(
    clips: Sequence[Path],
    methods: dict[str, dict[str, Any]],
    rates: Sequence[float],
    size: str,
    frames: int,
    lpips: Lpips | None,
) -> Curves:
    """Encodes every clip by every method at every rate, in bits a pixel of the whole file."""
    width, height = map(int, size.split("x"))
    videos = {clip.stem: read_clip(clip, (width, height), frames) for clip in clips}
    jobs = [(method, name, bpp) for method in methods for name in videos for bpp in methods[method].get("rates", rates)]
    curves: Curves = {method: {name: [] for name in videos} for method in methods}
    for method, name, bpp in track(jobs, "encoding", console=console):
        settings = {key: value for key, value in methods[method].items() if key != "rates"}
        curves[method][name].append(encode_clip(name, videos[name], lpips, bpp=bpp, **settings))
    return curves


def write(curves: Curves, out: Path, name: str, summary: dict[str, Any]) -> None:
    """JSON of every point, and PSNR over bits a pixel, a panel for each clip."""
    out.mkdir(parents=True, exist_ok=True)
    points = {method: [p.row() for some in clips.values() for p in some] for method, clips in curves.items()}
    (out / f"{name}.json").write_text(json.dumps({"summary": summary, "points": points}, indent=2) + "\n")
    clips = list(next(iter(curves.values())))
    figure, axes = plt.subplots(1, len(clips), figsize=(4 * len(clips), 3.6), squeeze=False)
    for axis, clip in zip(axes[0], clips, strict=True):
        for method in curves:
            chosen = sorted(curves[method][clip], key=lambda p: p.bpp)
            axis.plot([p.bpp for p in chosen], [p.psnr for p in chosen], "o-", label=method, markersize=3)
        axis.set(title=clip, xlabel="bits a pixel", ylabel="PSNR, dB", xscale="log")
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(out / f"{name}.{kind}")


def open_lpips(weights: Path | None) -> Lpips | None:
    """LPIPS, or None where its weights are not on this machine."""
    return Lpips(weights) if Lpips.available(weights) else None


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of those that are there."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else None


def shown(value: float | None, form: str = "{:+.1f} %") -> str:
    """A number for a table."""
    return "-" if value is None else form.format(value)


def report(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the terminal."""
    table = Table(*head, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


@app.command()
def presets(
    clips: Clips,
    out: Out = FOLDER,
    size: Size = "208x120",
    frames: Length = 17,
    backbone: Backbone = "gaussian",
    lpips_weights: Weights = None,
    steps: Annotated[int, typer.Option(help="Model evaluations.")] = 20,
    bpp: Annotated[list[float] | None, typer.Option(help="Rates of GVCC; 0.09 is 0.03 bits a dimension in pixels.")] = None,
    own_bpp: Annotated[list[float] | None, typer.Option(help="Rates of the default; by default 0.4 of those.")] = None,
) -> None:
    """Bits of the default for what the gvcc preset reaches, T2V; GVCC's search is simulated, equal in distribution."""
    lpips = open_lpips(lpips_weights)
    common = {"backbone": backbone, "gop": frames, "mode": "t2v", "trajectory__steps": steps}
    tail = max(1, round(3 * steps / 20))
    rates = bpp or [0.03, 0.06, 0.12, 0.25, 0.5]
    methods = {
        "gvcc": common | {"preset": "gvcc", "trajectory__ode_tail": tail, "rates": rates},
        "default": common | {"rates": own_bpp or [0.4 * rate for rate in rates]},
    }
    with simulated_gvcc():
        curves = sweep(clips, methods, (), size, frames, lpips)
    metrics = ("psnr", "lpips") if lpips else ("psnr",)
    saved = {m: {c: bd(curves["gvcc"][c], curves["default"][c], m) for c in curves["gvcc"]} for m in metrics}
    summary = {m: {"mean": mean_of(list(by_clip.values()))} | by_clip for m, by_clip in saved.items()}
    equal = {m: _equal(curves, rates, m) for m in metrics}
    write(curves, out, f"presets-{Path(backbone).name}-{steps}", {"bd_rate": summary, "share_of_bytes": equal})
    columns = [(m, rate) for m in metrics for rate in rates]
    rows = [
        [clip, *(shown(summary[m][clip]) for m in metrics), *(shown(equal[m][clip][rate], "{:.2f}") for m, rate in columns)]
        for clip in (*curves["gvcc"], "mean")
    ]
    head = ["clip", *(f"BD {m}" for m in metrics), *(f"{m} {rate:g}" for m, rate in columns)]
    report(f"BD-rate and share of bytes of the default against gvcc, {steps} evaluations", head, rows)


def _equal(curves: Curves, rates: Sequence[float], metric: str) -> dict[str, dict[float, float | None]]:
    """The default's share of GVCC's bytes for equal values by clip and rate, and the mean over the clips that have one."""
    found = {
        clip: {
            rate: share_for_equal(point, curves["default"][clip], metric) for rate, point in zip(rates, points, strict=True)
        }
        for clip, points in curves["gvcc"].items()
    }
    return found | {"mean": {rate: mean_of([by_rate[rate] for by_rate in found.values()]) for rate in rates}}


@app.command()
def settings(
    clips: Clips,
    tried: Annotated[list[str], typer.Option("--try", metavar="'A.B=C ...'", help="Settings of one curve, as for --set.")],
    out: Out = FOLDER,
    size: Size = "208x120",
    frames: Length = 17,
    backbone: Backbone = "tiny",
    mode: Annotated[str, typer.Option(help="Mode.")] = "t2v",
    lpips_weights: Weights = None,
    bpp: Annotated[list[float] | None, typer.Option(help="Rates, in bits a pixel of the whole file.")] = None,
) -> None:
    """Means over clips of PSNR and LPIPS at equal bytes, the settings as they are and with each change."""
    lpips = open_lpips(lpips_weights)
    methods: dict[str, dict[str, Any]] = {}
    for words in ("", *tried):
        told = parse_settings(words.split())
        named = {} if "preset" in told else {"backbone": backbone}  # a preset may name its own
        methods[words or "default"] = {"gop": frames, "mode": mode} | named | told
    curves = sweep(clips, methods, bpp or [0.05], size, frames, lpips)
    summary = {method: _means(curves[method]) for method in curves}
    write(curves, out, f"settings-{Path(backbone).name}-{mode}", summary)
    rows = [
        [method, f"{row['bpp']:.3f}", f"{row['psnr']:.2f}", shown(row["lpips"], "{:.3f}")]
        for method, found in summary.items()
        for row in found
    ]
    report(f"means over {len(clips)} clips, {mode}", ["settings", "bpp", "PSNR dB", "LPIPS"], rows)


def _means(by_clip: dict[str, list[Point]]) -> list[dict[str, float | None]]:
    """Of the points of one rate each."""
    return [
        {name: mean_of([getattr(p, name) for p in points]) for name in ("bpp", "psnr", "lpips")}
        for points in zip(*by_clip.values(), strict=True)
    ]


@app.command()
def stills(
    clips: Clips, out: Out = FOLDER, size: Size = "352x200", backbone: Backbone = "gaussian", lpips_weights: Weights = None
) -> None:
    """The trajectory still coder against AVIF at equal bytes: the first frame of each clip."""
    lpips = open_lpips(lpips_weights)
    width, height = map(int, size.split("x"))
    frames = {clip.stem: read_clip(clip, (width, height), 1) for clip in clips}
    jobs = [(still, name, bpp) for still in ("avif", "trajectory") for name in frames for bpp in (0.1, 0.2, 0.4, 0.8, 1.6)]
    curves: Curves = {still: {name: [] for name in frames} for still in ("avif", "trajectory")}
    for still, name, bpp in track(jobs, "encoding", console=console):
        max_bytes = int(bpp * width * height / 8)
        curves[still][name].append(encode_still(name, frames[name], still, backbone, max_bytes, lpips))
    metrics = ("psnr", "lpips") if lpips else ("psnr",)
    summary = {m: {c: bd(curves["avif"][c], curves["trajectory"][c], m) for c in curves["avif"]} for m in metrics}
    write(curves, out, f"stills-{Path(backbone).name}", summary)
    rows = [[clip, *(shown(summary[m][clip]) for m in metrics)] for clip in curves["avif"]]
    report("BD-rate of the trajectory still against AVIF", ["clip", *metrics], rows)


@app.command()
def split(
    clips: Clips,
    out: Out = FOLDER,
    size: Size = "208x120",
    frames: Length = 33,
    gop: Annotated[int, typer.Option(help="Frames of a GOP.")] = 17,
    backbone: Backbone = "gaussian",
    reference_weight: Annotated[list[float] | None, typer.Option(help="Weights of a reference to try.")] = None,
) -> None:
    """FLF2V: bytes for the mean PSNR of AVIF stills with an even split, over shares and still coders."""
    weights = reference_weight or [0.1, 0.2, 0.3, 0.5]
    common = {"backbone": backbone, "gop": gop, "mode": "flf2v"}
    references = 1 + -(-(frames - 1) // (gop - 1))
    even = frames / gop / references  # references then weigh as much as all frames together
    methods = {"avif, even split": common | {"still": "avif", "reference_weight": even}}
    methods |= {
        f"{still} {w:g}": common | {"still": still, "reference_weight": w}
        for still in ("avif", "trajectory")
        for w in weights
    }
    curves = sweep(clips, methods, (0.02, 0.04, 0.08, 0.16), size, frames, None)
    summary = {method: _shares(curves["avif, even split"], curves[method]) for method in curves}
    write(curves, out, f"split-{Path(backbone).name}", summary)
    rows = [[m, shown(100 * s["mean"], "{:.1f} %"), *(f"{100 * s[c]:.1f} %" for c in curves[m])] for m, s in summary.items()]
    report(
        "bytes at equal mean PSNR, of those with AVIF stills and an even split",
        ["method", "mean", *curves[next(iter(curves))]],
        rows,
    )


def _shares(anchor: dict[str, list[Point]], test: dict[str, list[Point]]) -> dict[str, float]:
    shares = {}
    for clip, points in anchor.items():
        low = max(min(p.psnr for p in points), min(p.psnr for p in test[clip]))
        high = min(max(p.psnr for p in points), max(p.psnr for p in test[clip]))
        middle = np.linspace(low, high, 9)[1:-1]
        shares[clip] = float(np.mean([bytes_at(test[clip], db) / bytes_at(points, db) for db in middle]))
    return {"mean": float(np.mean(list(shares.values())))} | shares


@app.command()
def tails(
    clips: Clips,
    out: Out = FOLDER,
    size: Size = "208x120",
    frames: Length = 49,
    gop: Annotated[int, typer.Option(help="Frames of a GOP.")] = 17,
    backbone: Backbone = "gaussian",
    bpp: Annotated[list[float] | None, typer.Option(help="Rates of the trajectories; five of them.")] = None,
) -> None:
    """I2V chains of at least three GOPs: bytes at the mean PSNR of the same chain with GVCC's 8-bit zlib residual."""
    common = {"backbone": backbone, "gop": gop}
    rates = bpp or [0.02, 0.04, 0.08, 0.16, 0.32]
    methods: dict[str, dict[str, Any]] = {
        f"weight {weight:g}": common | {"mode": "i2v", "carried_weight": weight} for weight in (1.0, 1.5, 3.0)
    }
    methods["correction 0.15"] = common | {"mode": "i2v", "correction_share": 0.15}
    curves = sweep(clips, methods, rates, size, frames, None)
    residual = common | {"mode": "i2v-gvcc", "correction_share": 0.02, "carried_weight": 1.0}
    with residuals_on_top():
        curves |= sweep(clips, {"zlib residual": residual}, (rates[0], rates[2]), size, frames, None)
    summary = {method: _residual_shares(curves, method) for method in curves if method != "zlib residual"}
    write(curves, out, f"tails-{Path(backbone).name}", summary)
    rows = [[m, *(f"{100 * value:.1f} %" for value in s.values())] for m, s in summary.items()]
    report("bytes at the mean PSNR of the chain with GVCC's residual", ["method", *next(iter(summary.values()))], rows)


def _residual_shares(curves: Curves, method: str) -> dict[str, float]:
    shares = {}
    for clip, anchors in curves["zlib residual"].items():
        shares[clip] = float(np.mean([bytes_at(curves[method][clip], a.psnr) / a.bytes for a in anchors]))
    return {"mean": float(np.mean(list(shares.values())))} | shares


if __name__ == "__main__":
    app()
