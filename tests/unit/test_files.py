"""How files come by their names: whole or not at all, never in another's place, nothing left behind."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rfcodec.errors import OutputError
from rfcodec.support.files import Replacement, is_stream, replacing, same_file, taking, write_file

ABANDONED = "a.rfv.0123456789abcdef.part"


def parts(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".part")


def test_temporary_names_are_new_each_time_and_beside_the_file(tmp_path):
    held = [Replacement(tmp_path / "a.rfv") for _ in range(8)]
    names = {one.part.name for one in held}
    assert len(names) == 8
    assert all(name.startswith("a.rfv.") and str(os.getpid()) + ".part" not in name for name in names)
    assert parts(tmp_path) == sorted(names)
    for one in held:
        one.drop()
    assert not list(tmp_path.iterdir())


def test_threads_that_write_one_name_leave_one_whole_file(tmp_path):
    path, contents = tmp_path / "a.rfv", [bytes([number]) * 300_000 for number in range(8)]
    begin = threading.Barrier(8)

    def write(content):
        with replacing(path) as part, part.open("wb") as file:
            begin.wait()
            for start in range(0, len(content), 1000):
                file.write(content[start : start + 1000])

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_program_left_is_removed_by_the_next_that_writes_the_name(tmp_path):
    write = "import os, sys; from rfcodec.support.files import taking; from pathlib import Path\n"
    write += "with taking(Path(sys.argv[1])) as part: part.write_bytes(b'half'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", write, tmp_path / "a.rfv"], check=False)
    (left,) = parts(tmp_path)
    assert left.startswith("a.rfv.")
    write_file(tmp_path / "b.rfv", b"another")
    assert parts(tmp_path) == [left]
    write_file(tmp_path / "a.rfv", b"whole")
    assert parts(tmp_path) == []
    assert (tmp_path / "a.rfv").read_bytes() == b"whole"


def test_a_part_that_is_being_written_is_left_alone(tmp_path):
    path = tmp_path / "a.rfv"
    with taking(path) as first:
        first.write_bytes(b"first")
        write_file(path, b"second")
        assert first.exists()
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize(
    "name", ["a.rfv.part", "a.rfv.123.part", "b.rfv.0123456789abcdef.part", "xa.rfv.0123456789abcdef.part"]
)
def test_other_names_are_no_leftovers(name, tmp_path):
    (tmp_path / name).write_bytes(b"mine")
    (tmp_path / ABANDONED).write_bytes(b"left")
    write_file(tmp_path / "a.rfv", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.rfv", name])


def test_permissions_are_what_the_umask_leaves_or_those_of_the_file_that_is_replaced(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"")
        (tmp_path / "private").touch(0o600)
        write_file(tmp_path / "private", b"")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new", "private")] == [0o640, 0o600]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_the_file_it_names_is_replaced(there, tmp_path):
    (tmp_path / "store").mkdir()
    if there:
        (tmp_path / "store" / "real").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(Path("store") / "real")
    write_file(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "store" / "real").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "real", "store"]


def test_a_fifo_is_written_through(tmp_path):
    fifo, found = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()))
    reader.start()
    write_file(fifo, b"through")
    reader.join()
    assert found == [b"through"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert list(tmp_path.iterdir()) == [fifo]


def test_devices_stay(tmp_path):
    # by links: who breaks this as root loses the link, not the device
    null, full = (tmp_path / name for name in ("null", "full"))
    for link in (null, full):
        link.symlink_to(Path("/dev") / link.name)
    write_file(null, b"nothing")
    with pytest.raises(OutputError, match="No space left"):
        write_file(full, b"nothing")
    assert null.is_symlink()
    assert full.is_symlink()
    assert is_stream(Path("/dev/stdout"))
    assert not is_stream(tmp_path)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_nothing_is_left_of_a_failure(error, tmp_path):
    path = tmp_path / "a.rfv"
    path.write_bytes(b"old")
    with pytest.raises(error), taking(path) as part:  # noqa: PT012
        part.write_bytes(b"half")
        raise error
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_bytes_are_on_the_disk_before_the_name_is_taken(tmp_path, monkeypatch):
    happened = []
    replace, sync = Path.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda held: (happened.append("sync"), sync(held)))
    monkeypatch.setattr(Path, "replace", lambda one, other: (happened.append("name"), replace(one, other)))
    write_file(tmp_path / "a.rfv", b"whole")
    assert happened == ["sync", "name"]


def test_long_names_and_names_of_many_bytes(tmp_path):
    for name in ("x" * 250 + ".rfv", "音" * 83):
        write_file(tmp_path / name, b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"
    assert parts(tmp_path) == []


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(OutputError, match="zero byte"):
        write_file(tmp_path / "a\0b", b"")
    assert not same_file(tmp_path / "a\0b", tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_the_same_file_by_other_names(tmp_path):
    path, folder = tmp_path / "a.mp4", tmp_path / "folder"
    path.write_bytes(b"video")
    folder.mkdir()
    (folder / "hard").hardlink_to(path)
    (folder / "soft").symlink_to(path)
    (tmp_path / "door").symlink_to(folder)
    same = [folder / ".." / "a.mp4", folder / "hard", folder / "soft", tmp_path / "door" / "hard"]
    assert all(same_file(path, other) for other in same)
    (folder / "other").write_bytes(b"video")
    assert not same_file(path, folder / "other")
    assert same_file(folder / "new.rfv", tmp_path / "door" / "NEW.rfv")
    assert not same_file(folder / "new.rfv", tmp_path / "new.rfv")
    assert not same_file(path, tmp_path / "A.mp4.rfv")
