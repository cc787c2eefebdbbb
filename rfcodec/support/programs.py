"""Other programs: the ffmpeg that comes with imageio-ffmpeg, and how a program is run and its files are taken over."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from rfcodec.errors import AnchorError, OutputError

LINES_SHOWN = 12


def ffmpeg_executable() -> str:
    """Path of the ffmpeg that imageio-ffmpeg brings or finds; raises AnchorError where there is none."""
    import imageio_ffmpeg

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise AnchorError(f"there is no ffmpeg: {error}") from error


@cache
def ffmpeg_version() -> str:
    """Version of that ffmpeg as it says it, such as "7.1.1"; raises AnchorError where it cannot be run."""
    words = run([ffmpeg_executable(), "-version"]).split()
    return words[2] if words[:2] == ["ffmpeg", "version"] else "unknown"


def ffmpeg(*arguments: str | Path) -> list[str]:
    """The command line of a quiet ffmpeg that asks nothing and overwrites its output."""
    return [ffmpeg_executable(), "-nostdin", "-v", "error", "-y", *map(str, arguments)]


def run(command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Runs a program to its end, with `environment` added to ours, and returns what it wrote to its standard output.

    Raises AnchorError, with the command and the last lines of its standard error, where it fails or does not start.
    """
    shown = shell_line(command, folder, environment)
    settings = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(
            command, cwd=folder, env=settings, stdin=subprocess.DEVNULL, capture_output=True, errors="replace", check=False
        )
    except (OSError, ValueError) as error:
        raise AnchorError(f"cannot be started: {getattr(error, 'strerror', None) or error}: {shown}") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-LINES_SHOWN:]
        raise AnchorError(f"ended with status {done.returncode}: {shown}", *lines)
    return done.stdout


def shell_line(command: Sequence[str], folder: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """The line of a POSIX shell that runs the command there, with `environment` added."""
    place = f"cd {shlex.quote(str(folder))} && " if folder else ""
    return place + shlex.join(
        [*(["env"] if environment else []), *(f"{k}={v}" for k, v in (environment or {}).items()), *command]
    )


@contextmanager
def working_folder(beside: Path) -> Iterator[Path]:
    """An empty folder beside that file, deleted in the end; raises OutputError where it cannot be made."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{beside.name}.", dir=beside.absolute().parent))
    except OSError as error:
        raise OutputError(f"{beside}: cannot be written: {error.strerror or error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
