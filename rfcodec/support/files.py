"""How a file comes by its name: only once it is whole; and which paths name one file."""

import errno
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, final

from rfcodec.errors import OutputError

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

STANDARD = "-"  # standard input or output
# a file name has 255 bytes at most, a character up to 4
NAME_SHOWN = 48
_PART = re.compile(r"(.*)\.[0-9a-f]{16}\.part", re.DOTALL)
_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr|fd/\d+)|/proc/(self|\d+)/fd/\d+")


@final
class Replacement:
    """A file that is written under the temporary name `part`, and takes the name `path` when it is whole.

    The part is new and in the same folder; nobody can guess its name. It is locked as long as it is written: parts of the
    same name that nobody holds were left by killed programs, and are deleted. Where `path` is a link, the file that it
    names is replaced, not the link. Devices, FIFOs and sockets (`through`) are never replaced: there `part` is `path`.
    Permissions are those of the file that is replaced, else what the umask leaves. Raises OSError.
    """

    def __init__(self, path: Path, tidy: bool = True) -> None:
        self.path, self.through = path, is_stream(path)
        # absolute: FFmpeg takes the beginning of `a:b.mkv` for a protocol
        self.part, self._held = path.absolute(), -1
        if not self.through:
            self._target = _checked(path)
            if tidy:
                remove_leftovers(self._target.parent, lambda name: name == self._target.name[:NAME_SHOWN])
            self.part, self._held = _new_part(self._target)

    def take(self) -> None:
        """Gives the file its name, once its bytes are on the disk; raises OSError."""
        if self.through:
            return
        os.fsync(self._held)
        if fcntl is None:
            self._release()  # Windows renames no open file; elsewhere the lock is kept until there is no part
        self.part.replace(self._target)
        self._release()

    def drop(self) -> None:
        """Deletes what did not take its name."""
        if self._held >= 0:
            with suppress(OSError):
                self.part.unlink(missing_ok=True)
            self._release()

    def _release(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1


@contextmanager
def taking(path: Path, tidy: bool = True) -> Iterator[Path]:
    """A temporary name that becomes `path` when the block ends well and is deleted otherwise; raises OSError."""
    replacement = Replacement(path, tidy)
    try:
        yield replacement.part
        replacement.take()
    finally:
        replacement.drop()


@contextmanager
def replacing(path: Path, parents: bool = False) -> Iterator[Path]:
    """`taking`, where any OSError of the block becomes an OutputError; `parents`: the folder is made if need be."""
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with taking(path) as part:
            yield part
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {path}: {reason}; choose another place or free some space") from error


def write_file(path: Path, data: bytes | str) -> None:
    """The whole file, text as UTF-8, its folder made if need be; raises OutputError."""
    with replacing(path, parents=True) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def writable(target: str | Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """A binary file to write to: that file, `-` for standard output, or one that takes its name in the end.

    Raises OSError, and OutputError where standard output is a terminal.
    """
    if not isinstance(target, str | Path):
        yield target
    elif str(target) == STANDARD:
        with standard_output() as file:
            yield file
    else:
        with taking(Path(target)) as part, _flushed(part.open("wb")) as file:
            yield file


@contextmanager
def _flushed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Closes the file in the end; what could not be written is an error once, not again when it is closed."""
    try:
        yield file
        file.flush()
    finally:
        with suppress(OSError):
            file.close()


@contextmanager
def standard_output() -> Iterator[IO[bytes]]:
    """Standard output for data alone: what is printed meanwhile, by whatever library, goes to standard error.

    Raises OSError where it cannot be written, OutputError where it is a terminal.
    """
    if os.isatty(1):
        raise OutputError("standard output is a terminal, which shows no video: pipe it into a program, or name a file")
    sys.stdout.flush()
    before, data = os.dup(1), os.dup(1)
    os.dup2(2, 1)
    try:
        with _flushed(os.fdopen(data, "wb")) as file:
            yield file
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)


def is_stream(path: Path) -> bool:
    """Whether what stands there can only be written through: a device, a FIFO, a socket, a file that is open already."""
    if _DESCRIPTOR.fullmatch(str(path.absolute())):
        return True
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISBLK(kind))


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths name one file, through links of either kind.

    Where nothing stands yet, their folders are compared, and their names without regard to case, as some systems do.
    """
    if "\0" in f"{one}{other}":
        return False  # no file has such a name
    one, other = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    if one == other:
        return True
    with suppress(OSError):
        return one.samefile(other)
    if one.exists() or other.exists() or one.name.casefold() != other.name.casefold():
        return False
    return same_file(one.parent, other.parent)


def remove_leftovers(folder: Path, named: Callable[[str], bool]) -> None:
    """Deletes parts in a folder that nobody writes any more, of the files whose names (their beginning) are `named`."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if found and named(found[1]) and entry.is_file(follow_symlinks=False):
                _remove_abandoned(Path(entry.path))


def _remove_abandoned(part: Path) -> None:
    with suppress(OSError):
        held = os.open(part, os.O_RDWR)
        try:
            if fcntl is not None:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
        finally:
            os.close(held)


def _checked(path: Path) -> Path:
    """Where the bytes go; raises OSError where what stands there must not be replaced."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "no name holds a zero byte")
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; name a file")
    if target.is_block_device():
        raise OSError(errno.EINVAL, "is a disk, which would be lost")
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "is write-protected")
    return target


def _new_part(target: Path) -> tuple[Path, int]:
    """A new file beside the target, and the descriptor that holds its lock."""
    while True:
        part = target.with_name(f"{target.name[:NAME_SHOWN]}.{secrets.token_hex(8)}.part")
        held = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0), 0o666)
        if _lock(held):
            with suppress(OSError):
                part.chmod(stat.S_IMODE(target.stat().st_mode) & 0o777)
            return part, held
        os.close(held)


def _lock(held: int) -> bool:
    """Locks a new file; False where it was taken for a leftover in the moment it had no lock."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks here, so nobody deletes parts either
    return os.fstat(held).st_nlink > 0
