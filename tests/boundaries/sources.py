"""Part B: damaged files, raw planes, streams to choose from, pictures, names."""

import json
import os
import threading

from kit import SMALL, Bench, Run, Wrong, case, difference, shape_of, wrong_unless

X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-g", "5")


def _count(bench: Bench, name: str = "out.rfv") -> int:
    import av

    done = bench.rfcodec("decode", name, "counted.y4m")
    if done.status != 0:
        raise Wrong(f"{done.outcome}: {done.said}")
    with av.open(str(bench.path("counted.y4m"))) as file:
        return sum(1 for _ in file.decode(video=0))


# 7. Damaged sources


def _damaged(bench: Bench, kind: str, name: str) -> None:
    fast = ("-movflags", "+faststart") if name.endswith("mp4") else ()
    codec = ("-c:v", "mpeg2video", "-g", "5") if name.endswith("ts") else X264
    bench.clip(name, *codec, *fast, frames=30, size="160x120")
    data = bytearray(bench.path(name).read_bytes())
    if kind == "cut":
        del data[int(len(data) * 0.6) :]
    elif kind == "zeros":
        middle = int(len(data) * 0.5)
        data[middle : middle + 3000] = bytes(len(data[middle : middle + 3000]))
    else:  # the last packet
        data[-1500:-300] = bytes(1200)
    bench.path(name).write_bytes(data)


def _damage_case(kind: str, said: str, name: str) -> None:
    @case("B7", f"{said}, {name.partition('.')[2]}", "what could be read, a warning with both numbers, both in --json")
    def _(bench):
        _damaged(bench, kind, name)
        run = bench.rfcodec("encode", name, "out.rfv", *SMALL, "--json")
        if run.status != 0:
            raise Wrong(f"{run.outcome}: {run.said}")
        told = [key for key in json.loads(run.out) if any(word in key for word in ("read", "source", "damage", "missing"))]
        warned = "warning" in run.err.lower()
        count = _count(bench)
        said = f"{count} of 30 frames; warning: {'yes' if warned else 'no'}; --json: {', '.join(told) or 'nothing'}"
        return wrong_unless(warned and bool(told), said)


_damage_case("cut", "cut after 60 %", "a.mp4")
_damage_case("cut", "cut after 60 %", "a.mkv")
_damage_case("cut", "cut after 60 %", "a.ts")
_damage_case("zeros", "3000 zeros in the middle", "a.mp4")
_damage_case("zeros", "3000 zeros in the middle", "a.ts")
_damage_case("last", "the last packet spoilt", "a.mkv")


@case("B7", "cut after 60 %, --strict", "an error, no stream")
def _(bench):
    _damaged(bench, "cut", "a.mp4")
    run = bench.rfcodec("encode", "a.mp4", "out.rfv", *SMALL, "--strict")
    return wrong_unless(run.outcome == "error line" and not bench.path("out.rfv").exists(), f"{run.outcome}: {run.said}")


# 8. Raw planes


def _raw(bench: Bench, pixels: str, size: str) -> None:
    bench.clip("original.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv444p", size=size, frames=4)
    bench.ffmpeg("-i", "original.mkv", "-f", "rawvideo", "-pix_fmt", pixels, "a.yuv")


def _raw_case(pixels: str, size: str = "64x48", least: float = 4.0) -> None:
    @case("B8", f"--raw {size}@30:{pixels}", "the frames as ffmpeg reads them")
    def _(bench):
        _raw(bench, pixels, size)
        given = ("-f", "rawvideo", "-pixel_format", pixels, "-video_size", size, "-framerate", "30")
        expected = bench.decoded("a.yuv", *given)
        frames, told = bench.read(bench.path("a.yuv"), raw=f"{size}@30:{pixels}")
        error = difference(frames, expected)
        said = f"{shape_of(frames)} at {told['fps']}, ffmpeg {shape_of(expected)}, mean error {error:.1f}"
        return wrong_unless(error <= least and told["fps"] == "30", said)


for _pixels in (
    "yuv420p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p12le",
    "yuv420p16le",
    "yuv422p",
    "yuv444p",
    "nv12",
    "rgb24",
    "gray",
):
    _raw_case(_pixels)
_raw_case("yuv420p10le", "63x47")


@case("B8", "raw planes of 10 bits taken for 8", "refused, naming the formats that fit")
def _(bench):
    _raw(bench, "yuv422p", "64x46")
    run = bench.rfcodec("encode", "a.yuv", "out.rfv", *SMALL, "--raw", "64x46@25:yuv444p10le")
    named = [
        word for word in ("yuv422p", "yuv420p", "rgb24", "gray", "yuv444p") if word in run.err.replace("yuv444p10le", "")
    ]
    return wrong_unless(run.refused and "yuv422p" in named, f"{run.outcome}: named {', '.join(named) or 'none'}")


@case("B8", "raw planes that end within a frame", "refused")
def _(bench):
    _raw(bench, "yuv420p", "64x48")
    bench.path("a.yuv").write_bytes(bench.path("a.yuv").read_bytes()[:-100])
    run = bench.rfcodec("encode", "a.yuv", "out.rfv", *SMALL, "--raw", "64x48@25")
    return wrong_unless(run.outcome == "error line", f"{run.outcome}: {run.said}")


# 9. Streams


def _two(bench: Bench) -> None:
    for name, colour in (("red", "red"), ("blue", "blue")):
        bench.ffmpeg(
            "-f", "lavfi", "-i", f"color={colour}:size=64x48:rate=25", "-frames:v", 9, "-c:v", "ffv1", f"{name}.mkv"
        )
    flags = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    bench.ffmpeg("-i", "red.mkv", "-i", "blue.mkv", "-map", "0", "-map", "1", "-c", "copy", *flags, "two.mkv")


def _colour(frames) -> str:
    return "red" if frames[..., 0].mean() > frames[..., 2].mean() else "blue"


@case("B9", "two video streams, the second is the default", "the second")
def _(bench):
    _two(bench)
    return wrong_unless((found := _colour(bench.read(bench.path("two.mkv"))[0])) == "blue", found)


@case("B9", "--stream 0 of those", "the first")
def _(bench):
    _two(bench)
    run = bench.rfcodec("encode", "two.mkv", "out.rfv", *SMALL, "--stream", "0")
    done = bench.rfcodec("decode", "out.rfv", "out.mkv") if run.status == 0 else run
    if done.status != 0:
        raise Wrong(f"{done.outcome}: {done.said}")
    return wrong_unless((found := _colour(bench.decoded("out.mkv"))) == "red", found)


def _cover(bench: Bench, *sound: object) -> None:
    bench.clip("cover.png", frames=1, size="96x96")
    audio = ("-f", "lavfi", "-i", "sine=duration=1")
    bench.ffmpeg(
        *audio,
        "-i",
        "cover.png",
        "-map",
        "0",
        "-map",
        "1",
        "-c:a",
        "aac",
        "-c:v",
        "copy",
        "-disposition:v:0",
        "attached_pic",
        "a.m4a",
    )


@case("B9", "sound with cover art (.m4a)", "refused: no video")
def _(bench):
    _cover(bench)
    run = bench.rfcodec("encode", "a.m4a", "out.rfv", *SMALL)
    return wrong_unless(run.outcome == "error line", f"{run.outcome}: {run.said}")


@case("B9", "cover art before the video", "the video")
def _(bench):
    bench.clip("cover.png", frames=1, size="96x96")
    bench.clip("a.mp4", *X264, frames=9)
    bench.ffmpeg(
        "-i", "cover.png", "-i", "a.mp4", "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic", "b.mp4"
    )
    frames, _ = bench.read(bench.path("b.mp4"))
    return wrong_unless(frames.shape == (9, 48, 64, 3), shape_of(frames))


# 12. Pictures


def _encoded(bench: Bench, source: str, count: int, *words: object, rate: str = "") -> str:
    import av

    run = bench.rfcodec("encode", source, "out.rfv", *SMALL, *words)
    done = bench.rfcodec("decode", "out.rfv", "out.mkv") if run.status == 0 else run
    if done.status != 0:
        raise Wrong(f"{done.outcome}: {done.said}")
    with av.open(str(bench.path("out.mkv"))) as file:
        found_rate = file.streams.video[0].average_rate
        found = sum(1 for _ in file.decode(video=0))
    said = f"{found} frames at {found_rate}"
    return wrong_unless(found == count and (not rate or str(found_rate) == rate), said)


@case("B12", "a folder of PNGs", "all of them, by --fps")
def _(bench):
    bench.path("in").mkdir()
    bench.clip("in/%03d.png", frames=7)
    return _encoded(bench, "in", 7, "--fps", "10", rate="10")


@case("B12", "%04d.png", "all of them, by --fps")
def _(bench):
    bench.clip("%04d.png", frames=7)
    return _encoded(bench, "%04d.png", 7, "--fps", "10", rate="10")


for _suffix in ("png", "jpg", "webp"):

    @case("B12", f"one picture (.{_suffix})", "one frame")
    def _(bench, suffix=_suffix):
        bench.clip(f"a.{suffix}", frames=1)
        return _encoded(bench, f"a.{suffix}", 1, "--bpp", "2")


for _suffix, _words in (("webp", ("-c:v", "libwebp_anim", "-loop", "0")), ("gif", ()), ("apng", ("-f", "apng"))):

    @case("B12", f"animated .{_suffix}", "7 frames at 10 a second")
    def _(bench, suffix=_suffix, words=_words):
        bench.clip(f"a.{suffix}", *words, frames=7, rate=10)
        return _encoded(bench, f"a.{suffix}", 7, rate="10")


# 13. Names


def _name_case(name: str) -> None:
    @case("B13", f"a file called {name}", "read")
    def _(bench):
        bench.clip("a.mkv", "-c:v", "ffv1").rename(bench.path(name))
        return _encoded(bench, f"./{name}" if name.startswith("-") else name, 9)


for _name in ("a:b.mkv", "http:b.mkv", "a|b.mkv", "100%d.mkv", "ü und [x] 'y'.mkv", "-b.mkv"):
    _name_case(_name)


@case("B13", "cat clip.mkv | encode -", "read")
def _(bench):
    clip = bench.clip("a.mkv", "-c:v", "ffv1")
    run = bench.rfcodec("encode", "-", "out.rfv", *SMALL, stdin=clip.read_bytes())
    return _after(bench, run)


@case("B13", "cat clip.mp4 (moov at the end) | encode -", "read")
def _(bench):
    clip = bench.clip("a.mp4", *X264)
    run = bench.rfcodec("encode", "-", "out.rfv", *SMALL, stdin=clip.read_bytes())
    return _after(bench, run)


@case("B13", "encode <(cat clip.mp4)", "read")
def _(bench):
    bench.clip("a.mp4", *X264)
    words = " ".join(["encode <(cat a.mp4) out.rfv", *SMALL])
    run = bench.child([" ".join(f"'{word}'" for word in bench.command()) + " " + words], shell=True)
    return _after(bench, run)


@case("B13", "a named pipe as source", "read")
def _(bench):
    clip, fifo = bench.clip("a.mp4", *X264), bench.path("pipe")
    os.mkfifo(fifo)
    threading.Thread(target=lambda: fifo.write_bytes(clip.read_bytes()), daemon=True).start()
    return _after(bench, bench.rfcodec("encode", fifo, "out.rfv", *SMALL, seconds=30))


def _after(bench: Bench, run: Run) -> str:
    if run.status != 0:
        raise Wrong(f"{run.outcome}: {run.said}")
    return wrong_unless((count := _count(bench)) == 9, f"{count} frames")


for _url in ("http://127.0.0.1:9/a.mp4", "https://example.invalid/a.mp4", "rtsp://example.invalid/a"):

    @case("B13", f"source {_url}", "refused: addresses are not read")
    def _(bench, url=_url):
        run = bench.rfcodec("encode", url, "out.rfv", *SMALL, seconds=20)
        clear = any(word in run.err.lower() for word in ("url", "address", "download", "fetch"))
        return wrong_unless(run.outcome == "error line" and clear, f"{run.outcome}: {run.said}")
