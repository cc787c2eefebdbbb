import pickle
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from rfcodec.errors import FrameRangeError, VideoReadError
from rfcodec.evaluation.datasets.dataset import Clip, clip_of
from rfcodec.evaluation.datasets.protocol import GVCC_COUNTS, PROTOCOLS, mean
from rfcodec.evaluation.report.published import MEAN, published
from rfcodec.types import RawLayout, VideoFormat
from rfcodec.video.pictures import FilePlanes, RawPlanes, opencv_resize, opencv_rgb
from rfcodec.video.reader import ReadOptions, open_video

WIDTH, HEIGHT, COUNT = 32, 24, 14
SMALL = replace(PROTOCOLS["gvcc"], size=(20, 16), gop=5, gops=2)
GVCC, GVC, HONEST = PROTOCOLS["gvcc"], PROTOCOLS["gvc"], PROTOCOLS["honest"]
PURPOSES = {"sequence header": 50, "GOP headers": 30, "side information": 700, "symbols": 1000, "correction": 400}


def random_planes(rng, height, width):
    small = -(-height // 2), -(-width // 2)
    return [rng.integers(0, 256, shape, np.uint8) for shape in ((height, width), small, small)]


@pytest.fixture(scope="module")
def planes():
    """Y, U and V of each frame of noise."""
    rng = np.random.default_rng(0)
    return [random_planes(rng, HEIGHT, WIDTH) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def raw_clip(planes, tmp_path_factory):
    path = tmp_path_factory.mktemp("raw") / f"noise_{WIDTH}x{HEIGHT}_120fps.yuv"
    path.write_bytes(b"".join(plane.tobytes() for frame in planes for plane in frame))
    return clip_of(path)


@pytest.fixture(scope="module")
def coded_clip(planes, tmp_path_factory):
    """The same planes in a container, without loss."""
    path = tmp_path_factory.mktemp("coded") / "noise.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for y, u, v in planes:
            picture = np.concatenate([y, u.reshape(-1, WIDTH), v.reshape(-1, WIDTH)])
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return clip_of(path)


@pytest.mark.parametrize("size", [(24, 32), (1080, 1920), (17, 31), (2, 2), (1, 1)])
def test_the_matrix_and_the_resize_are_opencvs_to_the_bit(size):
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is not installed")
    y, u, v = random_planes(np.random.default_rng(sum(size)), *size)
    scaled = [cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR) for plane in (u, v)]
    assert np.array_equal(opencv_resize(u, *size), scaled[0])
    wanted = cv2.cvtColor(np.stack([y, *scaled], axis=-1), cv2.COLOR_YUV2RGB)
    assert np.array_equal(opencv_rgb(y, u, v), wanted)


def test_the_matrix_has_the_published_coefficients():
    for y, u, v in np.random.default_rng(0).integers(0, 256, (300, 3)):
        luma, blue, red = float(y), u - 128.0, v - 128.0
        wanted = [luma + 1.140 * red, luma - 0.395 * blue - 0.581 * red, luma + 2.032 * blue]
        found = opencv_rgb(*(np.full((1, 1), value, np.uint8) for value in (y, u, v)))[0, 0]
        assert np.abs(found - np.clip(wanted, 0, 255)).max() <= 0.51


def test_grey_stays_grey_and_full_range():
    levels = np.array([[0, 16, 128, 235, 255, 77]], np.uint8)
    grey = np.full((1, 3), 128, np.uint8)
    assert opencv_rgb(levels, grey, grey)[0].tolist() == [[level] * 3 for level in levels[0]]


def test_the_resize_is_bilinear_between_centres_of_pixels():
    samples = np.array([[0, 100], [200, 60]], np.uint8)
    weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    assert np.abs(opencv_resize(samples, 4, 4) - weights @ samples @ weights.T).max() < 1


@pytest.mark.parametrize(
    ("protocol", "mode", "frames", "spans"),
    [
        (GVCC, "t2v", 600, [(0, 33), (33, 66), (66, 99)]),
        (GVCC, "i2v", 600, [(0, 33), (33, 66), (66, 99)]),
        (GVCC, "flf2v", 600, [(0, 33), (32, 65), (64, 97)]),
        (GVCC, None, 70, [(0, 33), (33, 66)]),
        (GVCC, "flf2v", 97, [(0, 33), (32, 65), (64, 97)]),
        (HONEST, "flf2v", 70, [(0, 70)]),
    ],
)
def test_gops_that_count(protocol, mode, frames, spans):
    assert protocol.spans(frames, mode) == spans


def test_whole_sequences_lose_their_trailing_partial_gop():
    assert [len(GVC.spans(frames)) for frames in (33, 65, 66, 300, 600)] == [1, 1, 2, 9, 18]
    assert GVC.spans(600)[-1] == (561, 594)
    assert GVC.spans(600, "flf2v")[-1] == (544, 577)


def test_a_clip_without_a_whole_gop_is_refused(raw_clip):
    with pytest.raises(FrameRangeError, match="14 frames has no GOP of 33"):
        GVCC.open(raw_clip)


@pytest.mark.parametrize(("mode", "frames"), [("t2v", 10), ("i2v", 10), ("flf2v", 9)])
def test_papers_take_the_first_gops_alone(raw_clip, mode, frames):
    video = SMALL.open(raw_clip, mode)
    assert video.format == VideoFormat(20, 16, frames, Fraction(120), Fraction(32 * 16, 24 * 20))
    with pytest.raises(FrameRangeError):
        video.read(0, frames + 1)


@pytest.mark.parametrize("kind", ["raw_clip", "coded_clip"])
def test_papers_read_planes_by_their_matrix_and_scale_with_lanczos(kind, planes, request):
    video = SMALL.open(request.getfixturevalue(kind), "flf2v")
    wanted = [np.asarray(Image.fromarray(opencv_rgb(*frame)).resize((20, 16), Image.Resampling.LANCZOS)) for frame in planes]
    for start, stop in ((0, 5), (4, 9), (1, 3), (0, 1)):
        assert np.array_equal(video.read(start, stop), np.stack(wanted[start:stop]))


def test_a_sequence_at_its_own_size_is_not_scaled(raw_clip, planes):
    video = replace(GVC, gop=5).open(replace(raw_clip, frames=(2, 13)))
    assert video.format == VideoFormat(WIDTH, HEIGHT, 10, Fraction(120))
    assert np.array_equal(video.read(9, 10)[0], opencv_rgb(*planes[11]))


def test_pictures_are_rgb_already(tmp_path):
    for number in range(6):
        Image.new("RGB", (40, 32), (200, number, 3)).save(tmp_path / f"{number}.png")
    video = SMALL.open(Clip("pictures", tmp_path, fps=Fraction(24)))
    assert video.format == VideoFormat(20, 16, 5, Fraction(24))
    assert video.read(4, 5)[0, 0, 0].tolist() == [200, 4, 3]


def test_planes_of_odd_sizes_are_rounded_up(tmp_path):
    frames = [random_planes(np.random.default_rng(number), 5, 7) for number in range(3)]
    path = tmp_path / "odd_7x5_25.yuv"
    path.write_bytes(b"".join(plane.tobytes() for frame in frames for plane in frame))
    for found, wanted in zip(RawPlanes(path, RawLayout(7, 5, Fraction(25))).planes(2), frames[2], strict=True):
        assert np.array_equal(found, wanted)


def test_a_file_that_shrinks_is_noticed(tmp_path, planes):
    path = tmp_path / "noise.yuv"
    path.write_bytes(b"".join(plane.tobytes() for frame in planes[:2] for plane in frame))
    source = RawPlanes(path, RawLayout(WIDTH, HEIGHT, Fraction(25)))
    path.write_bytes(path.read_bytes()[: WIDTH * HEIGHT * 2])
    with pytest.raises(VideoReadError, match="ended before frame 1"):
        source.planes(1)


def test_a_step_back_in_a_coded_file_is_right(coded_clip, planes):
    source = FilePlanes(coded_clip.path)
    for number in (0, 4, 4, 3, 0, 13):
        assert all(np.array_equal(a, b) for a, b in zip(source.planes(number), planes[number], strict=True))


def test_honest_is_all_frames_by_the_clips_own_matrix(raw_clip):
    video = HONEST.open(raw_clip, "flf2v")
    with open_video(raw_clip.path, reading=ReadOptions(raw_clip.raw)) as wanted:
        assert video.format == wanted.format
        assert np.array_equal(video.read(3, 5), wanted.read(3, 5))
    assert replace(HONEST, size=(16, 12)).open(raw_clip).read(0, 1).shape == (1, 12, 16, 3)


def test_the_papers_own_numbers_come_out():
    """Three GOPs of 17 steps, 9 latent frames, 64 atoms of 15 bits: 71.2 kbps, 0.00161 bits a sample."""
    video, symbols = VideoFormat(1280, 720, 99, Fraction(120)), 3 * 17 * 9 * 64 * 15 // 8
    rate = replace(GVCC, per_sample=True).rate(symbols + 500, video, {"symbols": symbols, "sequence header": 500}, "t2v")
    assert rate.paper_bpp == pytest.approx(0.001610, abs=5e-7)
    assert rate.paper_kbps == pytest.approx(71.2, abs=0.05)
    assert rate.bpp == pytest.approx(8 * (symbols + 500) / (1280 * 720 * 99))
    assert rate.kbps == pytest.approx(8 * (symbols + 500) * 120 / 99 / 1000)


@pytest.mark.parametrize(
    ("mode", "counted"), [("t2v", 1000), ("i2v", 1400), ("i2v-gvcc", 1400), ("flf2v", 1700), ("keyed", 2180), (None, 2180)]
)
def test_what_a_paper_counts(mode, counted):
    video, size = VideoFormat(10, 8, 10, Fraction(30)), sum(PURPOSES.values())
    assert GVCC.counted_bytes(size, PURPOSES, mode) == counted
    assert GVCC.rate(size, video, PURPOSES, mode).paper_bpp == 8 * counted / 800
    assert GVCC.rate(size, video, None, mode).paper_bpp == 8 * size / 800
    assert HONEST.counted_bytes(size, PURPOSES, mode) == size


def test_no_protocol_changes_the_honest_rate():
    video = VideoFormat(10, 8, 10, Fraction(30))
    protocols = [*PROTOCOLS.values(), replace(GVCC, per_sample=True)]
    rates = {(r.bpp, r.kbps) for p in protocols for m in GVCC_COUNTS for r in [p.rate(2180, video, PURPOSES, m)]}
    assert rates == {(8 * 2180 / 800, 8 * 2180 * 30 / 10 / 1000)}
    assert HONEST.rate(2180, video, PURPOSES, "i2v").paper_bpp is None


def test_means_over_frames_then_gops():
    series = [1.0, 2, 3, 10, 20]
    protocol = replace(GVCC, gop=3)
    assert protocol.clip_mean(series, "flf2v") == pytest.approx((2 + 11) / 2)  # the third frame counts twice
    assert protocol.clip_mean(series, "t2v") == pytest.approx(2)  # two frames are no GOP
    assert HONEST.clip_mean(series, "flf2v") == pytest.approx(36 / 5)
    assert mean([1.0, 4.0]) == 2.5


def test_protocols_travel_to_workers():
    assert {name: pickle.loads(pickle.dumps(p)) for name, p in PROTOCOLS.items()} == PROTOCOLS
    assert len({*PROTOCOLS.values()}) == len(PROTOCOLS)


def test_published_means_are_those_of_the_sequences():
    for name in ("uvg-720p", "uvg-720p-small", "uvg-1080p-turbo"):
        table = published()[name]
        for mode, rows in table.modes.items():
            sequences = [figures for sequence, figures in rows.items() if sequence != MEAN]
            assert len(sequences) == 7
            told = table.figures(mode, MEAN)
            for column, digits in (("psnr", 0.006), ("lpips", 6e-5), ("true_bpp", 6e-6)):
                assert mean([getattr(row, column) for row in sequences]) == pytest.approx(getattr(told, column), abs=digits)


def test_published_rates_agree_with_each_other():
    for table in published().values():
        pixels = table.size[0] * table.size[1]
        for figures in (row for rows in table.modes.values() for sequence, row in rows.items() if sequence != MEAN):
            assert figures.true_bpp == pytest.approx(figures.paper_bpp * (3 if table.per_sample else 1))
            if figures.kbps is not None:
                assert figures.kbps * 1000 / 16 / pixels == pytest.approx(figures.true_bpp, rel=2e-3)


def test_what_was_not_published_is_empty():
    assert published()["uvg-1080p"].figures("t2v", "Beauty").psnr is None
    assert published()["uvg-720p"].figures("keyed", MEAN).model_dump(exclude_none=True) == {}
