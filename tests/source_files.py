"""Video files as the ffmpeg program writes them."""

import subprocess

import imageio_ffmpeg

H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def ffmpeg(*words):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def make(path, *words, rate=25, count=12, size="64x48", filters="null"):
    """A clip of moving patterns; `words` say how it is coded."""
    source = f"testsrc2=s={size}:r={rate},{filters},trim=end_frame={count}"
    ffmpeg("-f", "lavfi", "-i", source, *words, path)
    return path


def copy(source, path, *words, before=()):
    """The same stream in another file."""
    ffmpeg(*before, "-i", source, "-c", "copy", *words, path)
    return path


def shortened(path, keep):
    """Keeps that share of a file."""
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    return path
