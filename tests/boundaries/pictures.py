"""Part B: what the reader shows is what the file means: orientation, pixel shape, colour, fields, cropping."""

from collections.abc import Callable

from kit import SMALL, Bench, Wrong, case, difference, shape_of, wrong_unless

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "8", "-bf", "0")
SAME = 3.0  # grey levels between two roundings of one conversion
BY_FFMPEG = "as ffmpeg shows it"


def _like_ffmpeg(bench: Bench, name: str, *words: object, filters: str = "", least: float = SAME) -> str:
    expected = bench.decoded(name, *words, filters=filters)
    frames, _ = bench.read(bench.path(name))
    error = difference(frames, expected)
    said = f"{shape_of(frames)}, ffmpeg {shape_of(expected)}, mean error {error:.1f}"
    return wrong_unless(error <= least, said)


def _display_case(name: str, *words: str) -> None:
    @case("B3", f"display matrix: {name}", BY_FFMPEG)
    def _(bench):
        bench.clip("plain.mp4", *X264, size="96x48")
        bench.ffmpeg(*words, "-i", "plain.mp4", "-c", "copy", "turned.mp4")
        return _like_ffmpeg(bench, "turned.mp4")


for _angle in (90, 180, 270):
    _display_case(f"rotation by {_angle}", "-display_rotation", str(_angle))
_display_case("mirror", "-display_hflip")
_display_case("mirror and rotation by 90", "-display_rotation", "90", "-display_hflip")


@case("B3", "a phone clip by the command line", "decoded upright, with a line")
def _(bench):
    bench.clip("plain.mp4", *X264, size="96x48")
    bench.ffmpeg("-display_rotation", "90", "-i", "plain.mp4", "-c", "copy", "turned.mp4")
    run = bench.rfcodec("encode", "turned.mp4", "a.rfv", *SMALL)
    bench.rfcodec("decode", "a.rfv", "a.mkv")
    size = bench.size("a.mkv")
    return wrong_unless(size == (48, 96) and "rotated" in run.err, f"{size[0]}x{size[1]}; line: {'rotated' in run.err}")


def _aspect(bench: Bench, name: str) -> str:
    import av

    with av.open(str(bench.path(name))) as file:
        stream = file.streams.video[0]
        frame = next(file.decode(stream))
        found = stream.sample_aspect_ratio or getattr(frame, "sample_aspect_ratio", None)
        return str(found)


def _aspect_case(source: str, target: str) -> None:
    @case("B4", f"pixels of 16:11, {source} to {target}", "16/11 in the output")
    def _(bench):
        more = ("-c:v", "ffv1") if source == "mkv" else () if source == "y4m" else X264
        bench.clip(f"a.{source}", "-vf", "setsar=16/11", *more)
        run = bench.rfcodec("encode", f"a.{source}", "a.rfv", *SMALL)
        done = bench.rfcodec("decode", "a.rfv", f"out.{target}")
        if done.status != 0:
            raise Wrong(f"{run.outcome}, {done.outcome}: {done.said}")
        found = _aspect(bench, f"out.{target}")
        return wrong_unless(found == "16/11", f"pixels of {found}")


for _pair in (("mp4", "mp4"), ("mkv", "mkv"), ("y4m", "y4m")):
    _aspect_case(*_pair)


def _high_range(bench: Bench, kind: str, transfer: str) -> None:
    """A file of that transfer, made from SDR, with the original beside it as sdr.mkv."""
    soft = ("-vf", "gblur=sigma=3,hue=s=0.75", "-c:v", "ffv1", "-pix_fmt", "yuv444p", "-color_range", "tv")
    bench.clip("sdr.mkv", *soft, frames=3, size="160x120")
    linear = "zscale=tin=bt709:min=bt709:pin=bt709:rangein=limited:t=linear:npl=203,format=gbrpf32le"
    made = f"{linear},zscale=p=bt2020:t={transfer}:m=bt2020nc:r=limited:npl=203,format=yuv420p10le"
    tags = ("-color_primaries", "bt2020", "-color_trc", kind, "-colorspace", "bt2020nc", "-color_range", "tv")
    x265 = ("-c:v", "libx265", "-x265-params", "log-level=none:crf=8")
    bench.ffmpeg(
        "-i",
        "sdr.mkv",
        "-vf",
        f"setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709,{made}",
        *x265,
        *tags,
        "hdr.mp4",
    )


def _high_range_case(name: str, kind: str, transfer: str) -> None:
    @case("B6", f"{name} against the SDR original", "mean error at most 12 levels, with a line")
    def _(bench):
        _high_range(bench, kind, transfer)
        matrix = "setparams=colorspace=bt709:range=tv"
        expected = bench.decoded("sdr.mkv", filters=matrix)
        frames, told = bench.read(bench.path("hdr.mp4"))
        error = difference(frames, expected)
        return wrong_unless(error <= 12 and bool(told["lines"]), f"mean error {error:.1f}; {'; '.join(told['lines'])[:90]}")


_high_range_case("HDR10 (PQ)", "smpte2084", "smpte2084")
_high_range_case("HLG", "arib-std-b67", "arib-std-b67")
_high_range_case("BT.2020 primaries, SDR", "bt2020-10", "bt2020-10")


def _combed(bench: Bench, name: str, *codec: object) -> None:
    fields = "scroll=horizontal=0.02,tinterlace=mode=interleave_top,fieldorder=tff,setfield=tff"
    bench.clip(name, "-vf", fields, *codec, source="testsrc2", frames=12, size="160x128", rate=50)


def _interlaced_case(name: str, file: str, *codec: object) -> None:
    @case("B10", f"interlaced {name}", "deinterlaced as bwdif does, with a line, or refused")
    def _(bench):
        _combed(bench, file, *codec)
        try:
            frames, told = bench.read(bench.path(file))
        except Wrong as refused:
            return wrong_unless("interlace" in str(refused), str(refused))
        woven = bench.decoded(file)
        errors = {}
        for mode in ("send_frame", "send_field"):
            errors[mode] = difference(frames, bench.decoded(file, filters=f"bwdif=mode={mode}:deint=all"))
        error = min(errors.values())
        said = f"{shape_of(frames)}, to bwdif {error:.1f}, to the fields as stored {difference(frames, woven):.1f}"
        return wrong_unless(error <= SAME and bool(told["lines"]), said)


_interlaced_case("H.264", "a.mkv", *X264, "-flags", "+ilme+ildct", "-x264-params", "tff=1")
_interlaced_case("MPEG-2", "a.mpg", "-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ilme+ildct")


@case("B10", "progressive H.264", "not deinterlaced")
def _(bench):
    bench.clip("a.mkv", *X264)
    return _like_ffmpeg(bench, "a.mkv")


def _crop_case(left: int, right: int, top: int) -> None:
    @case("B11", f"the SPS crops {left} columns left, {right} right, {top} rows above", BY_FFMPEG + " (unaligned)")
    def _(bench):
        bench.clip("plain.mp4", *X264, size="96x64")
        crop = f"h264_metadata=crop_left={left}:crop_right={right}:crop_top={top}"
        bench.ffmpeg("-i", "plain.mp4", "-c", "copy", "-bsf:v", crop, "cut.mp4")
        return _like_ffmpeg(bench, "cut.mp4", "-flags", "unaligned")


_crop_case(6, 0, 0)
_crop_case(2, 4, 0)
_crop_case(10, 2, 6)


@case("B14", "matrix GBR on yuv420p", "read as untagged, with a line")
def _(bench):
    bench.clip("plain.mp4", *X264)
    bench.ffmpeg("-i", "plain.mp4", "-c", "copy", "-bsf:v", "h264_metadata=matrix_coefficients=0", "gbr.mp4")
    expected, _ = bench.read(bench.path("plain.mp4"))
    frames, told = bench.read(bench.path("gbr.mp4"))
    error = difference(frames, expected)
    return wrong_unless(error <= SAME and bool(told["lines"]), f"mean error {error:.1f}; {'; '.join(told['lines'])[:90]}")


def _range_case(name: str, *words: object) -> None:
    made: Callable[..., object] = case("B14", f"tags that ffmpeg reads too: {name}", BY_FFMPEG)

    @made
    def _(bench):
        bench.clip("a.mp4", *words, *X264)
        return _like_ffmpeg(bench, "a.mp4")


_range_case("full range", "-vf", "scale=out_range=full", "-color_range", "pc")
_range_case("BT.709", "-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709")
