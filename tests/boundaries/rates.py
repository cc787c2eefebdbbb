"""Part B: frame rates and durations are those of the video, whatever the container says."""

from fractions import Fraction

import av
import numpy as np
from kit import SMALL, Bench, Wrong, case, wrong_unless

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast")


def _rate(bench: Bench, name: str, *words: object) -> tuple[Fraction, int, str]:
    """Frames per second and number of frames of what the command line makes of a file, and what it said."""
    run = bench.rfcodec("encode", name, "out.rfv", *SMALL, *words)
    done = bench.rfcodec("decode", "out.rfv", "out.mkv") if run.status == 0 else run
    if done.status != 0:
        raise Wrong(f"{done.outcome}: {done.said}")
    with av.open(str(bench.path("out.mkv"))) as file:
        rate = file.streams.video[0].average_rate or Fraction(0)
        count = sum(1 for _ in file.decode(video=0))
    return rate, count, run.err


def _rate_case(
    name: str, file: str, rate: Fraction, count: int, *words: object, made: object = None, more: tuple = ()
) -> None:
    @case("B5", name, f"{rate} frames a second, {count} frames, {float(count / rate):.2f} s")
    def _(bench):
        bench.clip(file, *words, frames=count, rate=made or rate)
        found, frames, _ = _rate(bench, file, *more)
        said = f"{found} frames a second, {frames} frames, {float(frames / found) if found else 0:.2f} s"
        return wrong_unless(abs(found - rate) < Fraction(1, 1000) and frames == count, said)


_rate_case("raw H.264, VUI of 50", "a.264", Fraction(50), 9, *X264, "-bf", "0")
_rate_case("raw H.264 with B-frames, VUI of 50", "a.h264", Fraction(50), 12, *X264, "-bf", "2")
_rate_case(
    "raw H.265, VUI of 50",
    "a.265",
    Fraction(50),
    9,
    "-c:v",
    "libx265",
    "-x265-params",
    "log-level=none",
    "-preset",
    "ultrafast",
)
_rate_case("WebM of 30", "a.webm", Fraction(30), 12, "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
_rate_case("Matroska of 30000/1001", "a.mkv", Fraction(30000, 1001), 12, *X264)
_rate_case("MP4 of 24000/1001", "a.mp4", Fraction(24000, 1001), 12, *X264)
_rate_case("--fps 12 on a clip of 25", "a.mkv", Fraction(12), 9, "-c:v", "ffv1", made=25, more=("--fps", "12"))


@case("B5", "H.264 with B-frames, copied into AVI", "25 frames a second, 24 frames")
def _(bench):
    bench.clip("a.h264", *X264[:4], "-x264-params", "bframes=3:b-adapt=0", frames=24)
    bench.ffmpeg("-i", "a.h264", "-c", "copy", "a.avi")
    rate, count, _ = _rate(bench, "a.avi")
    return wrong_unless((rate, count) == (25, 24), f"{rate} frames a second, {count} frames")


def _millisecond_webm(path: str, count: int, rate: int) -> None:
    """As browsers record: times in milliseconds, no rate anywhere."""
    with av.open(path, "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=1000, options={"deadline": "realtime", "cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.framerate = Fraction(0, 1)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index % 256, np.uint8), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = index * 1000 // rate, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


for _count in (3, 12):

    @case("B5", f"WebM of 30 in milliseconds, {_count} frames", f"30 frames a second, {_count} frames")
    def _(bench, count=_count):
        _millisecond_webm(str(bench.path("m.webm")), count, 30)
        rate, found, _ = _rate(bench, "m.webm")
        return wrong_unless((rate, found) == (30, count), f"{rate} frames a second, {found} frames")


def _variable(bench: Bench, name: str) -> None:
    chosen = "+".join(f"eq(n,{n})" for n in (0, 1, 5, 6, 7, 20, 21, 34, 42))
    bench.clip(
        name,
        "-vf",
        f"select='{chosen}'",
        "-fps_mode",
        "vfr",
        "-c:v",
        "libx264" if name.endswith("mp4") else "ffv1",
        frames=9,
    )


def _variable_case(name: str) -> None:
    @case("B5", f"variable rate, 9 frames over 1.72 s, .{name.rpartition('.')[2]}", "a constant rate, 1.72 s, with a line")
    def _(bench):
        _variable(bench, name)
        rate, count, said = _rate(bench, name)
        seconds = float(count / rate) if rate else 0.0
        line = any(word in said.lower() for word in ("variable", "resampled", "constant"))
        told = f"{count} frames at {rate}: {seconds:.2f} s; line: {'yes' if line else 'no'}"
        return wrong_unless(abs(seconds - 1.72) <= 0.09 and line, told)


_variable_case("v.mkv")
_variable_case("v.mp4")


@case("B5", "variable rate, --vfr keep-frames", "the 9 frames as they are")
def _(bench):
    _variable(bench, "v.mkv")
    rate, count, _ = _rate(bench, "v.mkv", "--vfr", "keep-frames")
    return wrong_unless(count == 9, f"{count} frames at {rate}")


@case("B5", "variable rate: pictures at the right times", "each shown when ffmpeg shows it")
def _(bench):
    _variable(bench, "v.mkv")
    frames, told = bench.read(bench.path("v.mkv"))
    rate = Fraction(told["fps"])
    expected = bench.decoded("v.mkv", filters=f"fps={rate}")
    count = min(len(frames), len(expected))
    error = float(np.abs(frames[:count].astype(int) - expected[:count]).mean())
    return wrong_unless(
        abs(len(frames) - len(expected)) <= 1 and error <= 3,
        f"{len(frames)} frames, ffmpeg {len(expected)}, mean error {error:.1f}",
    )


ARRAYS = """
import sys
import numpy as np
from rfcodec.video.reader import ArrayVideo
from rfcodec import api
frames = np.zeros((3, 16, 16, 3), np.uint8)
fps = eval(sys.argv[1])
video = ArrayVideo(frames) if fps is None else ArrayVideo(frames, fps)
api.encode(video, "a.rfv", backbone="gaussian", bytes=400, steps=3, measure=False)
print(video.format.fps, api.read_format("a.rfv").fps)
"""


def _array_case(given: str, right: str) -> None:
    @case("B15", f"ArrayVideo at {given}", f"{right} frames a second")
    def _(bench):
        run = bench.python(ARRAYS, given)
        found = run.out.decode().strip().split()
        return wrong_unless(run.status == 0 and found == [right, right], " and ".join(found) or run.said)


_array_case("29.97", "30000/1001")
_array_case("23.976", "24000/1001")
_array_case("12.5", "25/2")
_array_case("None", "25")
