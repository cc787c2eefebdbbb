"""Encode by the command line, decode in a fresh process: the encoder's own reconstruction, bit for bit."""

import json

import numpy as np
import pytest

MODES = ["t2v", "i2v", "flf2v"]
FAST = ["--backbone", "gaussian", "--set", "trajectory.steps=6", "--set", "trajectory.ode_tail=2"]
SMALL = [*FAST, "--gop", 5]
FEW_ATOMS = [*SMALL, "--preset", "gvcc", "--set", "codebook.k=128", "--set", "codebook.m=32"]
COMBINATIONS = [("t2v", "avif"), *((mode, still) for mode in MODES[1:] for still in ("avif", "trajectory", "png"))]


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def ok(outcome):
    assert outcome.status == 0, outcome.err
    return outcome


def describe(cli, path):
    return json.loads(ok(cli("info", path, "--json")).out)


@pytest.fixture(scope="session")
def coded(cli, clip_file, tmp_path_factory):
    """The clip in each mode at 3000 bytes, with the encoder's reconstruction."""
    folder = tmp_path_factory.mktemp("coded")
    for mode in MODES:
        recon = ["--recon", folder / f"{mode}.mkv"]
        ok(cli("encode", clip_file, folder / f"{mode}.rfv", "--mode", mode, "--bytes", 3000, *SMALL, *recon))
    return folder


@pytest.fixture(scope="module")
def combinations(coded, cli, in_a_fresh_process, clip_file, tmp_path_factory):
    """Every mode and still coder: its folder, its budget, and what the encoder told; decoded by another process."""
    made, calls = {}, []
    for mode, still in COMBINATIONS:
        folder, budget = tmp_path_factory.mktemp(f"{mode}-{still}"), 20000 if still == "png" else 3000
        files = [clip_file, folder / "a.rfv", "--recon", folder / "recon.mkv"]
        told = ok(cli("encode", *files, "--mode", mode, "--still", still, "--bytes", budget, *SMALL, "--json"))
        made[mode, still] = (folder, budget, told)
        calls.append(["decode", folder / "a.rfv", folder / "b.mkv"])
    again = ["encode", clip_file, coded / "again.rfv", "--mode", "i2v", "--bytes", 3000, *SMALL]
    for outcome in in_a_fresh_process([again, *calls]):
        ok(outcome)
    return made


@pytest.mark.parametrize(("mode", "still"), COMBINATIONS)
def test_a_fresh_process_decodes_what_the_encoder_saw(mode, still, combinations, cli, load):
    folder, budget, told = combinations[mode, still]
    assert np.array_equal(load(folder / "recon.mkv"), load(folder / "b.mkv"))
    size = (folder / "a.rfv").stat().st_size
    assert size <= budget
    assert still == "png" or size >= 0.98 * budget
    row = json.loads(told.out)
    assert (row["bytes"], row["mode"], row["frames"]) == (size, mode, 13)
    assert row["bpp"] == pytest.approx(8 * size / (64 * 48 * 13))
    seen = describe(cli, folder / "a.rfv")
    assert (seen["header"]["mode"], seen["header"]["still"]) == (mode, still)
    assert sorted(path.name for path in folder.iterdir()) == ["a.rfv", "b.mkv", "recon.mkv"]


def test_a_fresh_process_encodes_the_same_bytes(combinations, coded):
    assert (coded / "again.rfv").read_bytes() == (coded / "i2v.rfv").read_bytes()


def test_verify_as_a_module_in_a_process_of_its_own(process, coded, clip_file):
    told = ok(process("-m", "rfcodec", "verify", coded / "flf2v.rfv", "--against", clip_file, "--json"))
    assert json.loads(told.out)["digest_ok"] is True


@pytest.mark.parametrize("mode", MODES)
def test_verify_measures_the_decoded_frames(mode, cli, coded, clip, load, clip_file):
    row = json.loads(ok(cli("verify", coded / f"{mode}.rfv", "--against", clip_file, "--json")).out)
    assert list(row) == ["bytes", "bpp", "mode", "frames", "psnr", "ms_ssim", "lpips", "digest_ok"]
    assert row["digest_ok"] is True
    assert (row["bytes"], row["mode"], row["frames"]) == ((coded / f"{mode}.rfv").stat().st_size, mode, 13)
    error = np.square(load(coded / f"{mode}.mkv").astype(float) - clip).mean(axis=(1, 2, 3))
    assert row["psnr"] == pytest.approx(np.mean(10 * np.log10(255**2 / error)), abs=1e-6)
    assert 0 < row["ms_ssim"] < 1


@pytest.mark.parametrize("mode", MODES)
def test_verify_tells_of_other_latents(mode, cli, coded, clip_file, tmp_path):
    data = bytearray((coded / f"{mode}.rfv").read_bytes())
    seen = describe(cli, coded / f"{mode}.rfv")
    forged = _with_other_digest(data, seen)
    (tmp_path / "forged.rfv").write_bytes(forged)
    outcome = cli("verify", tmp_path / "forged.rfv", "--against", clip_file, "--json")
    assert outcome.status == 1
    assert json.loads(outcome.out)["digest_ok"] is False
    warned = ok(cli("decode", tmp_path / "forged.rfv", tmp_path / "forged.mkv"))
    assert "warning: the digest of" in " ".join(warned.err.split())


def _with_other_digest(data, seen):
    """The digest is the last field of a GOP unit, before its checksum."""
    import zlib

    from rfcodec.bitstream.fields import ByteReader
    from rfcodec.bitstream.records import read_unit

    reader = ByteReader(bytes(data))
    reader.position = start = seen["bytes_by_purpose"]["sequence header"]
    read_unit(reader)
    end = reader.position - 4
    data[end - 1] ^= 1
    data[end : end + 4] = zlib.crc32(data[start:end]).to_bytes(4, "little")
    return bytes(data)


def test_info_accounts_for_every_byte(cli, coded):
    for mode in MODES:
        seen = describe(cli, coded / f"{mode}.rfv")
        assert sum(seen["bytes_by_purpose"].values()) == seen["bytes"] == (coded / f"{mode}.rfv").stat().st_size
        assert [gop["index"] for gop in seen["gops"]] == list(range(len(seen["gops"])))
        assert seen["header"]["num_frames"] == 13
        table = ok(cli("info", coded / f"{mode}.rfv", "--full")).out
        assert "whole file" in table
        assert "arithmetic" in table


def test_three_words_for_one_budget(cli, clip_file, tmp_path):
    # 2496 bytes are 1/2 bit for each of 64 x 48 x 13 pixels, and 38.4 kbit/s over 13 frames at 25 a second
    for name, words in {"bytes": ["--bytes", 2496], "bpp": ["--bpp", 0.5], "kbps": ["--kbps", 38.4]}.items():
        ok(cli("encode", clip_file, tmp_path / f"{name}.rfv", *words, *SMALL))
    one, two, three = ((tmp_path / f"{name}.rfv").read_bytes() for name in ("bytes", "bpp", "kbps"))
    assert one == two == three


@pytest.mark.parametrize(
    ("count", "width", "height", "gop"),
    [(13, 64, 48, 8), (6, 37, 29, 5), (1, 64, 48, 5), (2, 64, 48, 5), (4, 40, 30, 1), (3, 16, 12, 2)],
)
def test_every_length_and_size_comes_back(count, width, height, gop, cli, make_clip, save, load, tmp_path):
    source = save(tmp_path / "in.mkv", make_clip(count, width, height))
    for mode in MODES:
        out, recon, decoded = (tmp_path / f"{mode}{suffix}" for suffix in (".rfv", "-recon.mkv", ".mkv"))
        ok(cli("encode", source, out, "--mode", mode, *FAST, "--gop", gop, "--bytes", 1500, "--recon", recon))
        ok(cli("decode", out, decoded))
        frames = load(decoded)
        assert frames.shape == (count, height, width, 3)
        assert np.array_equal(frames, load(recon)), mode
        assert out.stat().st_size <= 1500, mode


def test_frames_chosen_at_encoding(cli, clip, clip_file, save, tmp_path):
    ok(cli("encode", clip_file, tmp_path / "a.rfv", "--frames", "3:9", "--bytes", 2000, *SMALL))
    ok(cli("encode", save(tmp_path / "cut.mkv", clip[3:9]), tmp_path / "b.rfv", "--bytes", 2000, *SMALL))
    assert (tmp_path / "a.rfv").read_bytes() == (tmp_path / "b.rfv").read_bytes()


def test_size_chosen_at_encoding(cli, clip_file, load, tmp_path):
    ok(cli("encode", clip_file, tmp_path / "a.rfv", "--size", "32x24", "--bytes", 1500, *SMALL))
    ok(cli("decode", tmp_path / "a.rfv", tmp_path / "a.mkv"))
    assert load(tmp_path / "a.mkv").shape == (13, 24, 32, 3)
    row = json.loads(ok(cli("verify", tmp_path / "a.rfv", "--against", clip_file, "--json")).out)
    assert row["digest_ok"] is True


@pytest.mark.parametrize("mode", MODES)
def test_frames_chosen_at_decoding(mode, cli, coded, load, tmp_path):
    whole = load(coded / f"{mode}.mkv")
    for frames in ("0:13", "0:1", "4:6", "5:10", "6:7", "9:", ":5", "12:13"):
        ok(cli("decode", coded / f"{mode}.rfv", tmp_path / "a.mkv", "--frames", frames, "-y"))
        first, last = (int(part) if part else None for part in frames.split(":"))
        assert np.array_equal(load(tmp_path / "a.mkv"), whole[first:last]), frames


@pytest.mark.parametrize("suffix", [".mp4", ".y4m"])
def test_other_kinds_of_output(suffix, cli, coded, load, tmp_path):
    ok(cli("decode", coded / "t2v.rfv", tmp_path / f"a{suffix}"))
    assert load(tmp_path / f"a{suffix}").shape == (13, 48, 64, 3)


def test_raw_input(cli, coded, tmp_path):
    ok(cli("decode", coded / "i2v.rfv", tmp_path / "a.yuv"))
    ok(cli("encode", tmp_path / "a.yuv", tmp_path / "b.rfv", "--raw", "64x48@30000/1001", "--bytes", 3000, *SMALL))
    header = describe(cli, tmp_path / "b.rfv")["header"]
    assert (header["fps_numerator"], header["fps_denominator"], header["num_frames"]) == (30000, 1001, 13)


def test_a_prompt_needs_a_backbone_that_reads(cli, clip_file, tmp_path):
    outcome = cli("encode", clip_file, tmp_path / "a.rfv", "--prompt", "soft bars", "--bytes", 3000, *SMALL)
    assert outcome.status == 1
    assert len(lines(outcome.err)) == 1
    assert "no text" in outcome.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["t2v", pytest.param("i2v"), "flf2v"])
def test_gvcc_without_a_budget_has_a_rate_of_its_own(mode, cli, clip_file, load, tmp_path):
    recon = ["--recon", tmp_path / "r.mkv"]
    told = ok(cli("encode", clip_file, tmp_path / "a.rfv", *FEW_ATOMS, "--mode", mode, *recon))
    seen = describe(cli, tmp_path / "a.rfv")
    assert f"{seen['bytes']} bytes, {seen['bpp']:.5f} bpp" in told.out
    # 32 atoms of 7 bits and a sign, for each of 5 latent frames in each of 4 coded steps
    assert seen["gops"][0]["symbol_bits"] == 32 * (7 + 1) * 5 * 4
    ok(cli("decode", tmp_path / "a.rfv", tmp_path / "b.mkv"))
    assert np.array_equal(load(tmp_path / "b.mkv"), load(tmp_path / "r.mkv"))


def test_gvcc_with_a_budget_takes_whole_atoms_within_it(cli, clip_file, load, tmp_path):
    few = [*SMALL, "--preset", "gvcc", "--set", "codebook.k=64", "--mode", "t2v"]
    ok(cli("encode", clip_file, tmp_path / "a.rfv", *few, "--bpp", 0.15, "--recon", tmp_path / "r.mkv"))
    seen = describe(cli, tmp_path / "a.rfv")
    assert 0.9 * 0.15 < seen["bpp"] <= 0.15
    assert all(gop["symbol_bits"] % 7 == 0 for gop in seen["gops"])
    ok(cli("decode", tmp_path / "a.rfv", tmp_path / "b.mkv"))
    assert np.array_equal(load(tmp_path / "b.mkv"), load(tmp_path / "r.mkv"))


def test_lists_of_plugins(cli):
    for verb, expected in {
        "modes": MODES,
        "codebooks": ["channel", "chunked", "gvcc", "hadamard", "pursuit", "topm", "trellis"],
        "backbones": ["gaussian", "gaussian-latent", "tiny", "tiny-fast"],
    }.items():
        rows = json.loads(ok(cli(verb, "--json")).out)
        rows = rows["installed"] if verb == "backbones" else rows
        assert set(expected) <= {row["name"] for row in rows}
        assert all(row["what"] for row in rows)
        assert expected[0] in ok(cli(verb)).out


def test_version_and_help(cli):
    from rfcodec import __version__

    assert ok(cli("--version")).out.strip() == f"rfcodec {__version__}"
    text = ok(cli("--help")).out
    assert all(verb in text for verb in ("encode", "decode", "info", "verify", "demo", "backbones", "codebooks", "modes"))
