import io
import json
import re
import shutil
import sys
from html.parser import HTMLParser

import pytest
from rich.console import Console
from sample_sweep import ANCHORS, CLIPS, CODECS, LADDER, write_sweep

from rfcodec.errors import ConfigError, InputError
from rfcodec.evaluation.report import page as report
from rfcodec.evaluation.report import plots, summary
from rfcodec.evaluation.report.bd import bd_quality
from rfcodec.evaluation.report.curves import MEAN, at_rate, clips_of, curves_of, mean_points, nearest, select
from rfcodec.evaluation.report.page import build_report, load_points, table
from rfcodec.evaluation.report.tables import amount, number, significant

BUNNY = "big buck <bunny>"


class Page(HTMLParser):
    """Words of every table cell, and every address that the page points to."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.addresses, self.tags, self.text = [], [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "poster", "action")]
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {data}".strip()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return write_sweep(tmp_path_factory.mktemp("sweep"), frames=9, metrics=("psnr", "lpips", "e_warp", "e_warp_source"))


@pytest.fixture(scope="module")
def page(sweep):
    return Page(build_report(sweep).read_text())


@pytest.fixture(scope="module")
def points(sweep):
    return load_points(sweep)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A sweep of one clip and metric without pictures, whose figures are made but not written, which takes the time."""
    monkeypatch.setattr(plots, "save", lambda figure, path: None)
    return write_sweep(tmp_path / "small", frames=2, size=(32, 32), pictures=False, clips={"one": 0}, metrics=("psnr",))


def rewrite(folder, change):
    for path in (folder / "points").glob("*.json"):
        point = json.loads(path.read_text())
        if change(point) is False:
            path.unlink()
        else:
            path.write_text(json.dumps(point))


def test_points_come_by_clip_curve_and_rate(points):
    assert len(points) == 2 * (4 * 6 + 2)
    assert clips_of(points) == sorted(CLIPS)
    assert curves_of(points) == [*sorted(CODECS), *sorted(ANCHORS), "gaussian autoencoder", "gaussian t2v without bits"]
    assert [p["rate"]["bpp"] for p in points[:4]] == list(LADDER)


def test_savings_are_those_that_the_curves_were_made_with(points):
    """0.9 dB at 2.2 dB an octave are 2^(-0.9 / 2.2) of the rate, on each clip."""
    found = {(row.test, row.anchor): row for row in summary.comparisons(points)}
    cell = found["gaussian i2v trellis", "gaussian i2v topm"].cells["psnr"]
    assert cell.value == pytest.approx(100 * (2 ** (-0.9 / 2.2) - 1))
    assert len(cell.known) == 2
    assert cell.overlap == pytest.approx((6.6 - 0.9) / (6.6 + 0.9))
    assert found["gaussian i2v topm", "VVC medium"].cells["psnr"].reason == "no overlap"
    assert found["gaussian i2v topm", "x265 slow"].role == "anchor"
    assert len(found) == 3 * 3 + 3
    better = {(row.test, row.anchor): row for row in summary.comparisons(points, bd_quality)}
    assert better["gaussian i2v trellis", "gaussian i2v topm"].cells["psnr"].value == pytest.approx(0.9)


def test_a_clip_without_a_curve_is_left_out_of_the_mean(points):
    without = [p for p in points if (p["clip"], p["curve"]) != ("carphone", "x265 slow")]
    found = {(row.test, row.anchor): row for row in summary.comparisons(without)}
    assert list(found["gaussian i2v topm", "x265 slow"].cells["psnr"].deltas) == [BUNNY]


def test_means_are_over_clips_that_share_a_setting(points):
    mean = select(mean_points(points), curve="x265 slow")
    assert {point["clip"] for point in mean} == {MEAN}
    singles = [select(points, clip=clip, curve="x265 slow") for clip in CLIPS]
    for averaged, *ones in zip(mean, *singles, strict=True):
        assert averaged["metrics"]["psnr"] == pytest.approx(sum(p["metrics"]["psnr"] for p in ones) / 2)
        assert averaged["rate"]["bpp"] == pytest.approx(ones[0]["rate"]["bpp"])
        assert "bits_per_dim" not in averaged["rate"]
    lost = [p for p in points if p is not singles[0][1]]
    assert len(select(mean_points(lost), curve="x265 slow")) == 3


def test_methods_are_set_beside_each_other_at_equal_rates_alone(points):
    own = select(points, clip="carphone")
    rungs = summary.rungs(own)
    assert [rung.bpp for rung in rungs] == list(LADDER)
    assert [bool(rung.matches["VVC medium"]) for rung in rungs] == [False, False, False, True]
    x265 = rungs[0].matches["x265 slow"]
    assert rungs[0].off(x265) == pytest.approx(0.04)
    assert "x265 slow" not in rungs[0].equal
    best = rungs[3].matches["gaussian i2v trellis"]["metrics"]
    assert rungs[3].matches["VVC medium"]["metrics"]["psnr"] > best["psnr"] == rungs[3].best("psnr")
    assert "VVC medium" not in rungs[3].equal
    assert rungs[3].best("lpips") == best["lpips"]
    assert rungs[3].best("e_warp") is None
    assert nearest(own, 0.02)["rate"]["bpp"] == 0.02
    assert nearest([x265], 1) is None


def test_values_at_a_rate_lie_on_the_curve(points):
    """PSNR of the sample rises by 2.2 dB an octave: a line over log rate."""
    curve = select(points, clip="carphone", curve="x265 slow")
    between = at_rate(curve, 0.02)
    assert between["interpolated"]
    assert between["rate"]["bpp"] == 0.02
    assert between["metrics"]["psnr"] == pytest.approx(27 - 1.8)
    assert curve[0]["metrics"]["lpips"] > between["metrics"]["lpips"] > curve[1]["metrics"]["lpips"]
    assert at_rate(curve, 0.0104 * 0.995) is curve[0]
    assert at_rate(curve, 0.0104 * 0.98) is at_rate(curve, 0.09) is None
    at_mean = at_rate(select(mean_points(points), curve="x265 slow"), 0.02)
    assert at_mean["metrics"]["psnr"] == pytest.approx(27 - 1.8 + 0.75)


def with_other_frames(points, curve):
    return [p | {"video": p["video"] | {"num_frames": 97}} if p["curve"] == curve else p for p in points]


def test_curves_of_other_frames_are_not_compared(points):
    changed = with_other_frames(points, "x265 slow")
    found = {(row.test, row.anchor): row for row in summary.comparisons(changed)}
    assert found["gaussian i2v trellis", "x265 slow"].cells["psnr"].reason == "other frames"
    assert found["gaussian i2v trellis", "SVT-AV1 preset 4"].cells["psnr"].value is not None
    for group in (select(changed, clip="carphone"), mean_points(changed)):
        rung = summary.rungs(group)[1]
        assert rung.others == {"x265 slow"}
        assert rung.matches["x265 slow"]
        assert set(rung.equal) == {*CODECS, "SVT-AV1 preset 4"}
    own = select(changed, clip="carphone")
    assert summary.compression(select(own, curve="gaussian i2v trellis")[0], own)["hevc"] is None


def test_a_curve_that_hardly_overlaps_does_not_enter_the_mean(points):
    """On one of two clips the anchor is raised by 5 dB: 6.6 - 4.7 dB of 6.6 + 4.7 remain common."""

    def raised(point):
        chosen = (point["clip"], point["curve"]) == ("carphone", "SVT-AV1 preset 4")
        return point | {"metrics": point["metrics"] | {"psnr": point["metrics"]["psnr"] + 5 * chosen}}

    found = {(row.test, row.anchor): row for row in summary.comparisons([raised(point) for point in points])}
    cell = found["gaussian t2v trellis", "SVT-AV1 preset 4"].cells["psnr"]
    assert cell.deltas["carphone"].reason == "overlap 17 %"
    assert cell.value == cell.deltas[BUNNY].value


def test_compression_is_against_raw_video_and_x265(points):
    own = select(points, clip="carphone")
    for point in select(own, curve="x265 slow"):
        sizes = summary.compression(point, own)
        assert sizes["hevc"] == pytest.approx(1)
        assert sizes["raw_420"] == pytest.approx(100 * point["rate"]["bpp"] / 12) == 2 * sizes["raw_rgb"]
    trellis = summary.compression(select(own, curve="gaussian i2v trellis")[0], own)
    assert 0.1 < trellis["hevc"] < 0.6
    assert summary.compression(select(own, curve="VVC medium")[-1], own)["hevc"] is None
    assert summary.compression(own[0], [own[0]])["hevc"] is None


def test_the_page_says_what_was_found(page):
    rows = {" ".join(row[0].split()): row for row in reversed(page.rows)}
    assert "−24.7 %" in rows["gaussian i2v trellis against gaussian i2v topm"][1]
    assert "no overlap" in rows["gaussian i2v topm against VVC medium"][1]
    assert "overlap" in rows["gaussian i2v topm against x265 slow"][2]
    for words in (
        "BudgetTooSmall: 0.005 bpp",
        "DISTS of all points: needs piq",
        "1 of 4 points lie below the upper envelope",
    ):
        assert words in page.text
    commands = re.findall(r"<pre>(.*?)</pre>", page.text)
    assert len(commands) == 2 * 3 * 4


def test_every_point_has_its_row_and_its_file(page, points, sweep):
    links = {address for address in page.addresses if address.startswith("points/")}
    assert links == {f"points/{point['key']}.json" for point in points}
    assert all((sweep / link).is_file() for link in links)
    assert sum(address.startswith("streams/") for address in page.addresses) == 2 * 4 * 6


def test_the_page_points_at_nothing_outside_its_folder(page, sweep):
    assert {address.partition(":")[0] for address in page.addresses if ":" in address} == {"data"}
    local = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert local
    assert all((sweep / address).is_file() for address in local)
    assert "default-src 'none'" in page.text


def test_names_are_escaped(page):
    assert "big buck &lt;bunny&gt;" in page.text
    assert "bunny" not in page.tags


def test_pictures_are_inside_while_there_is_room(page):
    shown = 2 * (1 + 2 + 3 * 5 + 6)
    assert sum(address.startswith("data:image/jpeg") for address in page.addresses) == shown
    assert sum(address.startswith("data:video/mp4") for address in page.addresses) == shown


def test_pictures_are_linked_where_there_is_no_room(sweep, tmp_path, monkeypatch):
    folder = shutil.copytree(sweep, tmp_path / "copy")
    rewrite(folder, lambda point: point["clip"] == "carphone")
    monkeypatch.setattr(report, "PICTURE_ROOM", 0)
    monkeypatch.setattr(report, "FIGURE_ROOM", 0)
    linked = Page(build_report(folder).read_text()).addresses
    assert not any(address.startswith(("data:image/", "data:video/")) for address in linked)
    pictures = [address for address in linked if address.startswith(("pictures/", "figures/"))]
    assert {address.rpartition(".")[2] for address in pictures} == {"jpg", "png", "mp4", "svg"}
    assert all((folder / address).is_file() for address in pictures)


def test_pictures_from_elsewhere_are_not_taken(small):
    (small.parent / "secret.jpg").write_bytes(b"secret")
    rewrite(small, lambda point: point["pictures"].update(strip="../secret.jpg", slice=str(small.parent / "secret.jpg")))
    text = build_report(small).read_text()
    assert "c2VjcmV0" not in text
    assert "not there: ../secret.jpg" in text


def test_figures_need_the_points_alone_and_are_the_same_again(sweep, page, points, tmp_path):
    again = plots.write_figures(select(points, clip=BUNNY), tmp_path, {BUNNY: report._slug(BUNNY)})
    assert set(again) == {BUNNY}
    assert set(again[BUNNY]) == {"rate", "latents", "series"}
    for path in again[BUNNY].values():
        assert path.read_bytes() == (sweep / "figures" / path.name).read_bytes()
        assert path.with_suffix(".png").is_file()
    assert len(list(tmp_path.iterdir())) == 2 * 3
    assert len(list((sweep / "figures").iterdir())) == 2 * 8


def test_curves_look_different_without_colour_too(points):
    look = plots.styles(points)
    assert len({(style.marker, str(style.dashes), style.filled) for style in look.values()}) == len(look)
    assert all(look[name].filled for name in CODECS)
    assert not any(look[name].filled for name in ANCHORS)


def test_a_floor_far_away_is_named_at_the_edge(points):
    own = select(points, clip="carphone")
    figure = plots.rd_figure(own, plots.styles(points))
    psnr, lpips, e_warp = figure.axes
    assert psnr.get_xscale() == "log"
    assert [text.get_text() for text in psnr.texts] == ["↓ floor 15.20"]
    assert psnr.get_ylim()[0] > 20
    levels = [line for line in psnr.lines if list(line.get_xdata()) == [0, 1]]
    assert [line.get_ydata()[0] for line in levels] == pytest.approx([38.2])
    assert "lower is better" in lpips.get_title(loc="left")
    assert e_warp.get_title(loc="left") == "Warping error"
    assert "source" in [text.get_text() for text in e_warp.texts]
    in_latents = plots.rd_figure(own, plots.styles(points), "bits_per_dim").axes[0]
    assert sum(len(line.get_xdata()) == 4 for line in in_latents.lines) == len(CODECS)


@pytest.mark.parametrize(("width", "shown"), [(120, ["PSNR", "LPIPS", "Warping"]), (66, ["PSNR", "LPIPS"]), (20, [])])
def test_the_table_has_a_row_for_each_point_and_what_there_is_room_for(points, width, shown):
    text = io.StringIO()
    Console(width=width, file=text).print(table(points))
    lines = text.getvalue().splitlines()
    assert [name for name in ("PSNR", "LPIPS", "Warping") if name in " ".join(lines[:8]).split()] == shown
    assert ("no room here for" in text.getvalue()) == (len(shown) < 3)
    if shown:
        assert sum("gaussian i2v trellis " in line for line in lines) == 2 * 4
        assert all(len(line) <= width for line in lines)


def test_metrics_that_rank_nothing_are_tabled_and_drawn_but_not_compared(page, points):
    assert all("e_warp" not in row.cells for row in summary.comparisons(points))
    heads = [row for row in page.rows if row[0] == "curve" and "Warping error" in " ".join(row)]
    assert len(heads) == 3 + 2
    assert not any("Warping error ↑" in head or "Warping error ↓" in head for row in heads for head in row)


def test_a_report_is_of_the_folders_last_sweep(small):
    stale = json.loads(min((small / "points").iterdir()).read_text())
    keys = [path.stem for path in (small / "points").iterdir()]
    sweep = json.loads((small / "sweep.json").read_text())
    (small / "sweep.json").write_text(json.dumps(sweep | {"keys": [*keys, "not yet done"]}))
    stale |= {"key": "5a1e", "job": {"gop": 9}, "curve": "curve of the sweep before", "clip": "clip of the sweep before"}
    (small / "points" / "5a1e.json").write_text(json.dumps(stale))
    other_gop = stale | {"key": "90b9", "job": {"gop": 9}, "curve": "gaussian i2v trellis", "clip": "one"}
    (small / "points" / "90b9.json").write_text(json.dumps(other_gop))
    failure = {"key": "not yet done", "clip": "one", "curve": "gaussian i2v trellis", "error": "AnchorError: died just now"}
    (small / "failures" / "1.json").write_text(json.dumps(failure))
    assert sorted(point["key"] for point in load_points(small)) == sorted(keys)
    page = Page(build_report(small).read_text())
    assert "of the sweep before" not in page.text
    assert not any(key in page.text for key in ("5a1e", "90b9"))
    assert "BudgetTooSmall" not in page.text
    assert "died just now" in page.text
    assert "<dt>keys</dt>" not in page.text
    (small / "sweep.json").write_text(json.dumps(sweep | {"keys": []}))
    with pytest.raises(InputError, match="no points"):
        build_report(small)


@pytest.mark.parametrize("roles", [("anchor",), ("codec",), ("ceiling", "floor"), ("codec", "floor")])
def test_a_sweep_may_lack_any_role(small, roles):
    rewrite(small, lambda point: point["role"] in roles)
    assert "<h2" in build_report(small).read_text()


def test_a_sweep_may_lack_its_other_files_and_what_is_optional(small):
    for name in ("failures", "streams"):
        shutil.rmtree(small / name)
    for name in ("clips.json", "sweep.json"):
        (small / name).unlink()

    def strip(point):
        for name in ("series", "seams", "blank", "commands", "cost", "versions", "hardware"):
            del point[name]
        point["metrics"]["house metric"] = 1.0
        point["rate"]["paper_bpp"] = None

    rewrite(small, strip)
    assert "<title>small:" in build_report(small).read_text()


def test_what_is_no_sweep_is_said(small, tmp_path):
    with pytest.raises(InputError, match="no points"):
        build_report(tmp_path)
    rewrite(small, lambda point: point.update(schema=2))
    with pytest.raises(InputError, match="schema 2 is not 1"):
        load_points(small)
    min((small / "points").iterdir()).write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_points(small)


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named(small, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"{package}: pip install 'rfcodec\[benchmarks\]'"):
        build_report(small)


def test_numbers_as_words():
    assert [number(-1.234, 1), number(1.5, 1, signed=True), number(None, 3)] == ["−1.2", "+1.5", "–"]
    assert [significant(v) for v in (0.05, 0.999999, 12.3456, 123456.7, 0, None)] == [
        "0.05000", "1.000", "12.35", "123500", "0", "–",
    ]  # fmt: skip
    assert [amount(v) for v in (12, 1234, 5_600_000, 1.4e9, None)] == ["12.0 B", "1.23 kB", "5.60 MB", "1.40 GB", "–"]
