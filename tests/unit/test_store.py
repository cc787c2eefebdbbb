"""The folder of a sweep: whole files or none."""

import pytest

from rfcodec.errors import ConfigError, OutputError
from rfcodec.evaluation.store import Store, comparable

POINT = {"key": "00ff", "clip": "a", "curve": "x265", "knob": {"name": "bpp", "value": 0.1}, "metrics": {"psnr": 30.0}}


def test_a_point_stands_after_its_files_and_ends_its_failure(tmp_path):
    store = Store(tmp_path)
    assert not store.has("00ff")
    store.fail({"key": "00ff", "clip": "a", "curve": "x265", "error": "AnchorError: died"})
    assert [failure["error"] for failure in store.failures()] == ["AnchorError: died"]
    store.keep(POINT, {"streams/00ff.hevc": b"abc"})
    assert (tmp_path / "streams" / "00ff.hevc").read_bytes() == b"abc"
    assert (store.has("00ff"), store.points(), store.failures()) == (True, [POINT], [])


def test_where_a_file_cannot_be_written_no_point_is(tmp_path):
    (tmp_path / "streams").write_text("in the way")
    store = Store(tmp_path)
    with pytest.raises(OutputError, match="streams"):
        store.keep(POINT, {"streams/00ff.hevc": b"abc"})
    assert not store.has("00ff")


def test_nothing_half_written_is_left(tmp_path, full_disk):
    with pytest.raises(OutputError, match="No space left"):
        Store(tmp_path).write_json("sweep.json", {"name": "0123456789"})
    assert not list(tmp_path.iterdir())


def test_points_come_sorted_and_bad_ones_are_named(tmp_path):
    store = Store(tmp_path)
    for key, value in (("b", 0.2), ("a", 0.3), ("c", 0.1)):
        store.keep(POINT | {"key": key, "knob": {"name": "bpp", "value": value}}, {})
    assert [point["key"] for point in store.points()] == ["c", "b", "a"]
    (tmp_path / "points" / "d.json").write_text('{"key": ')
    with pytest.raises(ConfigError, match=r"d\.json.*delete it"):
        store.points()


@pytest.mark.parametrize("text", ["[]", "{}", '{"clip": "a", "curve": "b"}', '{"clip": 1, "curve": "b"}', "[" * 9000])
def test_json_that_is_no_point_is_named(text, tmp_path):
    for folder, read in (("points", Store(tmp_path).points), ("failures", Store(tmp_path).failures)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "d.json").write_text(text)
        if folder == "points" or text != '{"clip": "a", "curve": "b"}':
            with pytest.raises(ConfigError, match=r"d\.json.*delete it"):
                read()


def test_what_differs_from_run_to_run_is_left_out():
    cost = {"encode_seconds": 1.5, "peak_memory_bytes": 7, "encode_evaluations": 20}
    point = POINT | {"cost": cost, "host": "here", "hardware": {"cores": 2}, "when": "now"}
    assert comparable(point) == POINT | {"cost": {"encode_evaluations": 20}}
