"""GVCC's tables (arXiv 2603.26571) again: published figures, the gvcc preset, and the default at the same bytes.

    python benchmarks/reproduce_gvcc.py --dataset uvg --root FOLDER --backbone Wan-AI/Wan2.1-T2V-1.3B-Diffusers
        --modes t2v --lpips-weights DIR --device cuda --out DIR
    python benchmarks/reproduce_gvcc.py --dataset mcl-jcv --root FOLDER --backbone t2v=ID i2v=ID flf2v=ID --clips videoSRC01

Under the gvcc protocol the default may spend, all bytes of its file included, what GVCC's authors count of the preset's;
under the honest one, what the preset's whole file takes. A point that lies in DIR already is not measured again.

Where the preset is not what the authors ran: boundary frames are AVIF in as many bytes as theirs had; I2V's GOPs share a
frame, so that 99 frames are three GOPs with a residual each and one of three frames; its last latent frames have no more
atoms than the others.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rfcodec.evaluation.datasets.clips import Clip, checksum
from rfcodec.evaluation.datasets.dataset import dataset_names, load_dataset
from rfcodec.evaluation.datasets.protocol import COLOURS, PROTOCOLS, Protocol, mean
from rfcodec.evaluation.report.grids import Grid
from rfcodec.evaluation.report.published import MEAN, Figures, PublishedTable, published
from rfcodec.evaluation.store import Point, Store
from rfcodec.evaluation.sweep.description import CodecCurve
from rfcodec.evaluation.sweep.jobs import Job, circumstances
from rfcodec.evaluation.sweep.runner import make_point
from rfcodec.evaluation.sweep.worker import PointWorker
from rfcodec.research import BudgetTooSmall, RuntimeConfig, VideoFormat
from rfcodec.support.command_line import guarded
from rfcodec.support.console import PlainConsole
from rfcodec.support.files import write_file

MODES = ("t2v", "i2v", "flf2v")
COLUMNS = {
    "psnr": ("PSNR, dB", 2),
    "ms_ssim": ("MS-SSIM", 4),
    "lpips": ("LPIPS", 4),
    "paper_bpp": ("bpp as the paper counts", 6),
    "counted_bpp": ("the same, a pixel", 5),
    "bpp": ("true bpp, all bytes", 5),
    "kbps": ("kbps", 1),
}
METRICS = ("psnr", "ms_ssim", "lpips")
Line = dict[str, float | None]
Pair = tuple[Point, Point | None]
out = PlainConsole(width=200)


class Setup:
    """What all points share: models and where they run, the folder of results, weights of LPIPS."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.store = Store(args.out)
        self.worker = PointWorker(RuntimeConfig(device=args.device), args.lpips_weights)
        self.circumstances = circumstances(args.device, args.lpips_weights)
        self.options = {f"backbone_options.{name}": value for name, value in args.option.items()}
        self._names: dict[str, str] = args.backbone

    def name(self, mode: str) -> str:
        """Name of a mode's model."""
        return self._names.get(mode) or self._names[""]


class Task(NamedTuple):
    """One point: a clip under a protocol, coded by a preset of ours with these settings."""

    clip: Clip
    protocol: Protocol
    mode: str
    preset: str = "default"
    settings: dict[str, Any] = {}  # noqa: RUF012 -- never changed


def run_point(task: Task, setup: Setup) -> Point:
    """Encodes, decodes and measures one point, or reads it where it lies in the folder of results already."""
    fixed = {name: value for name, value in task.settings.items() if name != "mode"}
    knob = "bytes" if task.preset == "default" else "codebook.m"
    value = float(fixed.pop(knob))
    curve = CodecCurve(
        label=f"{task.preset} {task.mode}",
        backbone=setup.name(task.mode),
        mode=task.settings.get("mode", task.mode),
        preset=task.preset,
        set=setup.options | fixed,
        knob=knob,
        values=(value,),
    )
    clip = replace(task.clip, sha256=task.clip.sha256 or checksum(task.clip.path))
    job = Job(clip, curve, value, task.protocol, METRICS, setup.circumstances)
    return make_point(job, setup.store, setup.worker)


def preset_settings(mode: str, video: VideoFormat, gop: int, weight: float | None = None) -> dict[str, Any]:
    """What GVCC's scripts run: M = 64, from 1080 lines on 80; shift 3 for T2V and up to 480 lines, else 5.

    I2V's first frame is without loss, since it is free there, and the residual comes on top of the symbols: the budget has
    room for both, and what they leave stays unspent. `weight` is that of a boundary frame of FLF2V, if it is known.
    """
    atoms, shift = (80 if video.height >= 1080 else 64), (3 if mode == "t2v" or video.height <= 480 else 5)
    settings = {"mode": mode, "gop": gop, "codebook.m": atoms, "trajectory.shift": shift}
    if mode == "i2v":
        return settings | {"mode": "i2v-gvcc", "still": "png", "correction_share": 0.9, "bytes": 6 * video.pixels}
    return settings | ({"reference_weight": weight} if mode == "flf2v" and weight else {})


def boundary_weight(table: PublishedTable | None, sequence: str, gop: int) -> float | None:
    """Bytes of a boundary frame in the paper's FLF2V over those of a GOP's symbols, known from T2V's rate; or None."""
    if table is None or table.gops is None:
        return None
    symbols, whole = (table.figures(mode, sequence).true_bpp for mode in ("t2v", "flf2v"))
    if symbols is None or whole is None:
        return None
    boundaries = whole * (table.gops * (gop - 1) + 1) - symbols * table.gops * gop
    return boundaries / (table.gops + 1) / (symbols * gop)


def pair(task: Task, weight: float | None, args: argparse.Namespace, setup: Setup) -> Pair:
    """The preset, and the default in as many bytes as the protocol counts of it; None where these are too few."""
    clip, protocol, mode = task.clip, task.protocol, task.mode
    settings = preset_settings(mode, protocol.open(clip, mode).format, args.gop, weight) | dict(args.set)
    preset = run_point(task._replace(preset="gvcc", settings=settings), setup)
    budget = protocol.counted_bytes(preset["stream"]["bytes"], preset["stream"]["bytes_by_purpose"], mode)
    settings = {"mode": mode, "gop": args.gop, "bytes": budget} | dict(args.set_default)
    try:
        return preset, run_point(task._replace(preset="default", settings=settings), setup)
    except BudgetTooSmall as error:
        out.print(f"{clip.name}, {mode}, {protocol.name}: no default in {budget} bytes: {error}", markup=False)
        return preset, None


def line_of(point: Point | None, protocol: Protocol) -> Line:
    """The columns of a point of ours."""
    if point is None:
        return dict.fromkeys(COLUMNS)
    found = point["metrics"] | point["rate"]
    if protocol.counts is not None:
        found["kbps"] = found["paper_kbps"]
    if protocol.per_sample:
        found["counted_bpp"] = found["paper_bpp"] * COLOURS
    return {name: found.get(name) for name in COLUMNS}


def published_line(figures: Figures, protocol: Protocol) -> Line:
    """The columns of published figures, which know no bytes that were not counted."""
    found = figures.model_dump()
    if protocol.per_sample:
        found["counted_bpp"] = found["true_bpp"]
    return {name: found.get(name) for name in COLUMNS}


def mean_line(lines: Sequence[Line]) -> Line:
    """Means over sequences of the columns that all of them have."""
    columns = {name: [value for line in lines if (value := line[name]) is not None] for name in COLUMNS}
    return {name: mean(values) if values and len(values) == len(lines) else None for name, values in columns.items()}


def cell(values: Sequence[float | None], digits: int) -> str:
    """Published / preset / default."""
    return " / ".join("-" if value is None else f"{value:.{digits}f}" for value in values)


def grid(tasks: Sequence[Task], pairs: Sequence[Pair], table: PublishedTable | None) -> Grid:
    """A table of one mode under one protocol: published figures if there are any, the preset, the default; their means."""
    mode, protocol = tasks[0].mode, tasks[0].protocol
    rows = [[line_of(point, protocol) for point in points] for points in pairs]
    if table:
        known = [published_line(table.figures(mode, task.clip.name), protocol) for task in tasks]
        rows = [[line, *row] for line, row in zip(known, rows, strict=True)]
    means = [mean_line(lines) for lines in zip(*rows, strict=True)]
    if table and not any(means[0].values()):
        means[0] = published_line(table.figures(mode, MEAN), protocol)
    rows.append(means)
    columns = [name for name in COLUMNS if any(line[name] is not None for row in rows for line in row)]
    names = [*(task.clip.name for task in tasks), MEAN]
    body = [[cell([line[column] for line in row], COLUMNS[column][1]) for column in columns] for row in rows]
    title = f"{mode}, {protocol.name} protocol: {'published / ' if table else ''}gvcc preset / default"
    head = ["", *(COLUMNS[column][0] for column in columns)]
    return Grid(f"{title}; {table.title}" if table else title, head, [[n, *r] for n, r in zip(names, body, strict=True)])


def protocol_of(name: str, clip: Clip, mode: str, args: argparse.Namespace) -> tuple[Protocol, PublishedTable | None]:
    """A protocol with what the options change in it, and the published table that was taken under it, if any."""
    protocol = PROTOCOLS[name]
    protocol = replace(protocol, size=args.size or protocol.size)
    if protocol.counts is None:
        return protocol, None
    gops = protocol.gops if args.gops is None or protocol.gops is None else args.gops or None
    protocol = replace(protocol, gop=args.gop, gops=gops)
    video = protocol.open(clip, mode).format
    fitting = {name: t for name, t in published().items() if (t.dataset, t.gops) == (args.dataset, gops) and mode in t.modes}
    fitting = {name: t for name, t in fitting.items() if t.size == (video.width, video.height)}
    small = any("1.3b" in name.lower() for name in args.backbone.values())
    found = next((t for name, t in fitting.items() if name.endswith("-small") == small), None)
    table = published()[args.table] if args.table else found
    return replace(protocol, per_sample=bool(table and table.per_sample)), table


def reproduce(args: argparse.Namespace) -> list[Grid]:
    """All tables, each printed when it is done; clips of one mode and protocol follow each other."""
    setup, grids = Setup(args), []
    clips = load_dataset(args.dataset, args.root, args.clips)
    for mode in args.modes:
        for name in args.protocols:
            chosen = [replace(clip, frames=args.frames) for clip in clips] if args.frames and name == "honest" else clips
            protocol, table = protocol_of(name, chosen[0], mode, args)
            tasks = [Task(clip, protocol, mode) for clip in chosen]
            weights = [boundary_weight(table, clip.name, args.gop) for clip in chosen]
            pairs = [pair(task, weight, args, setup) for task, weight in zip(tasks, weights, strict=True)]
            grids.append(grid(tasks, pairs, table))
            grids[-1].show(out)
    return grids


def pair_of_numbers(mark: str) -> Any:
    """Reads AxB or A:B."""

    def read_pair(word: str) -> tuple[int, int]:
        first, _, second = word.partition(mark)
        return int(first), int(second)

    return read_pair


def assignment(word: str) -> tuple[str, str]:
    """Reads NAME=VALUE."""
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    return name, value


def model(word: str) -> tuple[str, str]:
    """Reads ID, or MODE=ID."""
    mode, _, name = word.partition("=")
    return (mode, name) if mode in MODES and name else ("", word)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--dataset", default="uvg", help=f"{', '.join(dataset_names())}, a TOML file or a folder of videos")
    add("--root", type=Path, help="folder below which the dataset's clips lie")
    add("--clips", nargs="+", default=(), help="these clips alone")
    add("--backbone", nargs="+", type=model, required=True, metavar="ID", help="model, or MODE=ID for each mode")
    add("--option", nargs="+", action="extend", type=assignment, default=[], metavar="NAME=VALUE", help="of the models")
    add("--modes", nargs="+", choices=MODES, default=MODES)
    add("--protocols", nargs="+", choices=tuple(PROTOCOLS), default=("gvcc", "honest"))
    add("--gop", type=int, default=33, help="frames of a GOP")
    add("--gops", type=int, help="first GOPs under gvcc; 0: all; default: 3")
    add("--size", type=pair_of_numbers("x"), metavar="WxH", help="default: 1280x720 under gvcc, else the clips' own")
    add("--frames", type=pair_of_numbers(":"), metavar="A:B", help="frames under honest; default: all")
    add("--set", nargs="+", action="extend", type=assignment, default=[], metavar="A.B=C", help="field of the preset")
    add("--set-default", nargs="+", action="extend", type=assignment, default=[], metavar="A.B=C", help="of the default")
    add("--table", choices=tuple(published()), help="published figures; default: those that fit")
    add("--lpips-weights", type=Path, metavar="DIR", help="folder with the AlexNet weights of LPIPS")
    add("--device", default="cpu")
    add("--out", type=Path, default=Path("reproduced"), help="folder for points, streams and tables")
    args = parser.parse_args(words)
    args.backbone, args.option = dict(args.backbone), dict(args.option)
    if "" not in args.backbone and set(args.modes) - set(args.backbone):
        parser.error("--backbone names no model for some of the modes")
    return args


def main() -> None:
    """The command line."""
    args = parse()
    grids = reproduce(args)
    write_file(args.out / "tables.md", "\n\n".join(table.markdown() for table in grids) + "\n")


if __name__ == "__main__":
    guarded(main)
