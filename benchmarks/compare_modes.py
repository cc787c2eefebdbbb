"""T2V, I2V and FLF2V at equal bytes and at their native points: what each byte of conditioning buys.

    python benchmarks/compare_modes.py --clips a.mp4 b.mp4 --size 256x144 --frames 0:49 --bpp 0.03 0.06 0.12 0.24 --out modes

At matched points all modes have the same budget for the whole file. At its native point a mode spends on its trajectory
what T2V spends at the middle rate, and its references come on top, as the published method counts.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.axes import Axes

from rfcodec.evaluation.report.grids import Grid, panels, save, show, write
from rfcodec.evaluation.store import Point
from rfcodec.evaluation.sweep.description import CodecCurve, Sweep, read_sweep
from rfcodec.evaluation.sweep.session import Workers, points_of
from rfcodec.support.command_line import SeveralValues, guarded
from rfcodec.support.console import PlainConsole
from rfcodec.support.words import parse_settings

PUBLISHED = "published (GVCC, UVG 720p): FLF2V has 81 % of I2V's gain for 15 % of its extra bits"
BASE = "t2v"
NATIVE = "native"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
err = PlainConsole(stderr=True)


@app.command(cls=SeveralValues)
def compare(
    clips: Annotated[list[str] | None, typer.Option(metavar="F...", help="Videos.")] = None,
    dataset: Annotated[str | None, typer.Option(help="A dataset instead; default: demo.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that holds the dataset.")] = None,
    frames: Annotated[str, typer.Option(metavar="A:B", help="Frames of each clip; three GOPs or more.")] = "0:49",
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Scale to this size first.")] = None,
    gop: Annotated[int, typer.Option(help="Frames of a GOP.")] = 17,
    backbone: Annotated[str, typer.Option(help="Name, folder or hub id.")] = "gaussian",
    modes: Annotated[list[str] | None, typer.Option(metavar="M...", help="Modes beside t2v; default: i2v flf2v.")] = None,
    bpp: Annotated[list[float] | None, typer.Option(metavar="R...", help="Matched rates.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Any field, as in encode.")] = None,
    weights: Annotated[Path | None, typer.Option(metavar="DIR", help="Weights files of metrics.")] = None,
    jobs: Annotated[int, typer.Option(help="Workers.")] = 1,
    executor: Annotated[str, typer.Option(help="local, ray, slurm.")] = "local",
    device: Annotated[str, typer.Option(help="Torch device of the workers.")] = "cpu",
    folder: Annotated[Path, typer.Option("--out", help="Folder of points, table and figure.")] = Path("modes"),
) -> None:
    """Runs both sweeps, prints the tables and draws the figure; goes on where it was stopped."""
    rates = sorted(bpp or [0.03, 0.06, 0.12, 0.24])
    told = {"clips": clips, "dataset": dataset or (None if clips else "demo"), "root": root, "frames": frames, "size": size}
    common: dict[str, Any] = {"metrics": ["psnr", "ms_ssim", "lpips", "vmaf", "seam"], "bounds": False}
    common |= {"set": {"gop": gop} | parse_settings(settings or [])}
    described = read_sweep(None, told | common | {"backbones": [backbone], "modes": [BASE, *(modes or ["i2v", "flf2v"])]})
    workers = Workers(jobs, executor if jobs > 1 else "serial", {}, device, weights=weights)
    matched = points_of(err, described.model_copy(update={"bpp": tuple(rates)}), folder, workers)
    middle = rates[len(rates) // 2]
    native = [p for sweep in native_sweeps(described, matched, middle) for p in points_of(err, sweep, folder, workers)]
    result = {"matched": [row(p) for p in matched], "native": [row(p) for p in native], "gains": gains(native)}
    write(folder / "compare_modes.json", result)
    show([*tables(matched, native), gain_table(result["gains"])])
    draw(matched, native, folder / "compare_modes.json")
    err.print(f"figure and numbers: {folder}/compare_modes.png, .svg, .json", highlight=False)


def native_sweeps(described: Sweep, matched: Sequence[Point], rate: float) -> Iterator[Sweep]:
    """For each clip, a point a mode at the budget where its symbols take the bytes that T2V's take at `rate`."""
    for clip in sorted({p["clip"] for p in matched}):
        curves = []
        for mode in described.modes:
            total = round(native_budget(matched, mode, clip, rate), 6)
            label, fixed = f"{NATIVE} {mode}", described.set
            curves.append(CodecCurve(label=label, backbone=described.backbones[0], mode=mode, set=fixed, values=(total,)))
        named = tuple(word for word in described.clips if clip in (word, Path(word).stem, Path(word).name)) or (clip,)
        yield described.model_copy(update={"clips": named, "backbones": (), "curves": tuple(curves)})


def native_budget(matched: Sequence[Point], mode: str, clip: str, rate: float) -> float:
    """Budget of a mode whose symbols are as many bytes as those of T2V at `rate`; its share of symbols by interpolation."""
    points = curve(matched, mode, clip)
    budgets = np.log([p["knob"]["value"] for p in points])
    shares = [symbol_bytes(p) / p["stream"]["bytes"] for p in points]
    base = next(p for p in curve(matched, BASE, clip) if p["knob"]["value"] == rate)
    wanted = rate * symbol_bytes(base) / base["stream"]["bytes"]
    budget = rate
    for _ in range(8):  # the share of symbols changes slowly with the budget, so this settles
        budget = wanted / float(np.interp(np.log(budget), budgets, shares))
    return budget


def symbol_bytes(point: Point) -> int:
    """Bytes of the trajectory."""
    return point["stream"]["bytes_by_purpose"]["symbols"]


def curve(points: Sequence[Point], mode: str, clip: str) -> list[Point]:
    """The points of a mode and clip, by rate."""
    found = [p for p in points if (p["method"]["mode"], p["clip"]) == (mode, clip)]
    return sorted(found, key=lambda p: p["knob"]["value"])


def row(point: Point) -> dict[str, Any]:
    """What is compared of a point."""
    purposes = point["stream"]["bytes_by_purpose"]
    size = point["stream"]["bytes"]
    per_gop = gop_means(point)
    return {
        "clip": point["clip"],
        "mode": point["method"]["mode"],
        "budget": point["knob"]["value"],
        "bpp": point["rate"]["bpp"],
        "metrics": point["metrics"],
        "shares": {name: number / size for name, number in purposes.items()},
        "psnr_by_gop": per_gop,
        "drift": per_gop[-1] - per_gop[0],
    }


def gop_means(point: Point) -> list[float]:
    """Mean PSNR over the frames that each GOP shows."""
    edges = [0, *point["seams"], point["video"]["num_frames"]]
    series = point["series"]["psnr"]
    return [float(np.mean(series[start:stop])) for start, stop in pairwise(edges)]


def gains(native: Sequence[Point]) -> dict[str, dict[str, float]]:
    """For each mode, means over clips: extra bpp over T2V, gain in dB, dB for a bpp, and both as shares of I2V's."""
    clips = sorted({p["clip"] for p in native})
    found: dict[str, dict[str, float]] = {}
    for mode in sorted({p["method"]["mode"] for p in native} - {BASE}):
        pairs = [(curve(native, BASE, clip)[0], curve(native, mode, clip)[0]) for clip in clips]
        extra = float(np.mean([test["rate"]["bpp"] - base["rate"]["bpp"] for base, test in pairs]))
        gain = float(np.mean([test["metrics"]["psnr"] - base["metrics"]["psnr"] for base, test in pairs]))
        found[mode] = {"extra_bpp": extra, "gain_db": gain, "db_per_bpp": gain / extra}
    if "i2v" in found:
        for mode in found:
            found[mode] |= {f"{name}_of_i2v": found[mode][name] / found["i2v"][name] for name in ("extra_bpp", "gain_db")}
    return found


def tables(matched: Sequence[Point], native: Sequence[Point]) -> list[Grid]:
    """A line a point: quality, purposes, drift and seams."""
    head = ["clip", "mode", "bpp", "PSNR", "MS-SSIM", "LPIPS", "VMAF", "symbols", "side information", "drift", "seam"]
    titles = {"matched: equal bytes of the whole file": matched, "native: equal bytes of the trajectory": native}
    return [Grid(title, head, [words(p) for p in points]) for title, points in titles.items()]


def words(point: Point) -> list[str]:
    """A line of the table."""
    told = row(point)
    quality = [told["metrics"].get(name) for name in ("psnr", "ms_ssim", "lpips", "vmaf")]
    forms = ("{:.2f}", "{:.4f}", "{:.4f}", "{:.1f}")
    seam = told["metrics"].get("seam")
    return [
        told["clip"],
        told["mode"],
        f"{told['bpp']:.4f}",
        *("-" if value is None else form.format(value) for form, value in zip(forms, quality, strict=True)),
        *(f"{100 * told['shares'].get(name, 0):.1f} %" for name in ("symbols", "side information")),
        f"{told['drift']:+.2f} dB",
        "-" if seam is None else f"{seam:.2f}",
    ]


def gain_table(found: dict[str, dict[str, float]]) -> Grid:
    """What the references of each mode cost and bring at the native points."""
    rows = [
        [
            mode,
            f"{gain['extra_bpp']:+.4f}",
            f"{gain['gain_db']:+.2f} dB",
            f"{gain['db_per_bpp']:.0f}",
            *(f"{100 * gain[f'{n}_of_i2v']:.0f} %" if f"{n}_of_i2v" in gain else "-" for n in ("gain_db", "extra_bpp")),
        ]
        for mode, gain in found.items()
    ]
    head = ["mode", "extra bpp", "gain over t2v", "dB for a bpp", "share of i2v's gain", "share of i2v's extra bits"]
    return Grid(f"native points, mean over clips; {PUBLISHED}", head, rows)


def draw(matched: Sequence[Point], native: Sequence[Point], path: Path) -> None:
    """A row a clip: PSNR over rate, bytes by purpose at the native points, PSNR over frames there."""
    clips = sorted({p["clip"] for p in matched})
    figure, axes = panels(len(clips), 3, (13, 3.6 * len(clips)))
    for line, clip in zip(axes, clips, strict=True):
        modes = [p["method"]["mode"] for p in native if p["clip"] == clip]
        modes.sort(key=lambda mode: curve(native, mode, clip)[0]["stream"]["bytes"])
        for number, mode in enumerate(modes):
            draw_rates(line[0], curve(matched, mode, clip), curve(native, mode, clip), f"C{number}")
            draw_series(line[2], curve(native, mode, clip)[0], f"C{number}")
        draw_purposes(line[1], [curve(native, mode, clip)[0] for mode in modes])
        line[0].set(title=f"{clip}: line matched, star native", xlabel="bits per pixel", ylabel="PSNR, dB")
        line[2].set(title="native points; dotted: seams", xlabel="frame", ylabel="PSNR, dB")
        line[0].legend(fontsize=8)
    save(figure, path)


def draw_rates(axes: Axes, points: Sequence[Point], native: Sequence[Point], colour: str) -> None:
    """The curve of a mode and its native point."""
    rates, values = zip(*((p["rate"]["bpp"], p["metrics"]["psnr"]) for p in points), strict=True)
    axes.plot(rates, values, "o-", color=colour, label=points[0]["method"]["mode"], markersize=4)
    axes.plot(native[0]["rate"]["bpp"], native[0]["metrics"]["psnr"], "*", color=colour, markersize=13)
    budgets = [p["knob"]["value"] for p in points]
    axes.set_xscale("log")
    axes.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
    axes.minorticks_off()


def draw_purposes(axes: Axes, points: Sequence[Point]) -> None:
    """Bytes by purpose, a bar a mode."""
    bottom = np.zeros(len(points))
    for number, name in enumerate(points[0]["stream"]["bytes_by_purpose"]):
        sizes = np.array([p["stream"]["bytes_by_purpose"].get(name, 0) for p in points])
        if sizes.any():
            axes.bar([p["method"]["mode"] for p in points], sizes, bottom=bottom, label=name, color=f"C{number + 4}")
        bottom = bottom + sizes
    axes.set(title="native points", ylabel="bytes", ylim=(0, 1.1 * bottom.max()))
    axes.legend(fontsize=8, loc="upper left")  # above the bar of T2V, which is the shortest


def draw_series(axes: Axes, point: Point, colour: str) -> None:
    """PSNR frame by frame, and where GOPs meet."""
    axes.plot(point["series"]["psnr"], color=colour, linewidth=1)
    for seam in point["seams"]:
        axes.axvline(seam - 0.5, color="grey", linestyle=":", linewidth=0.8)


if __name__ == "__main__":
    guarded(app)
