"""The command line on folders written by save_pretrained: every mode, budgets, options, and what can go wrong."""

import json

import numpy as np
import pytest
import tiny_models

MODELS = {"t2v": "wan-t2v", "i2v": "wan-i2v", "flf2v": "wan-flf2v"}
FEW = ["--set", "trajectory.steps=8", "--set", "trajectory.ode_tail=3", "--gop", "9"]


@pytest.fixture(scope="module")
def big_clip(make_clip, save, tmp_path_factory):
    return save(tmp_path_factory.mktemp("clip") / "clip.mkv", make_clip(13, 144, 112))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {mode: tiny_models.save(name, folder / name) for mode, name in MODELS.items()}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("RFCODEC_CACHE", str(tmp_path / "cache"))


def ok(outcome):
    assert outcome.status == 0, outcome.err
    return outcome


BPP = {"t2v": 0.04, "i2v": 0.1, "flf2v": 0.15}


@pytest.fixture(scope="module")
def coded(models, cli, in_a_fresh_process, big_clip, tmp_path_factory):
    """Every mode, coded here and decoded by one other process: its folder, and by mode what both told."""
    folder, told = tmp_path_factory.mktemp("coded"), {}
    for mode, model in models.items():
        out, recon = folder / f"{mode}.rfv", folder / f"{mode}-recon.mkv"
        arguments = ["encode", big_clip, out, "--backbone", model, "--mode", mode, "--bpp", BPP[mode], "--recon", recon]
        told[mode] = ok(cli(*arguments, *FEW, "--json"))
    calls = [
        ["decode", folder / f"{mode}.rfv", folder / f"{mode}.mkv", "--backbone", model] for mode, model in models.items()
    ]
    decoded = in_a_fresh_process(calls, env={"HF_HUB_OFFLINE": "1"})
    return folder, {mode: (told[mode], outcome) for mode, outcome in zip(models, decoded, strict=True)}


@pytest.mark.parametrize("mode", MODELS)
def test_a_folder_codes_a_clip_within_its_budget(mode, coded, load):
    folder, (told, decoded) = coded[0], coded[1][mode]
    report, budget = json.loads(told.out), int(BPP[mode] * 13 * 144 * 112 / 8)
    assert 0.98 * budget <= report["bytes"] == (folder / f"{mode}.rfv").stat().st_size <= budget
    assert "the digest of 2 of 2 GOPs is the encoder's" in ok(decoded).err
    assert np.array_equal(load(folder / f"{mode}.mkv"), load(folder / f"{mode}-recon.mkv"))


def test_a_moved_model_is_found_by_option_and_another_one_is_refused(models, cli, big_clip, tmp_path):
    home = tiny_models.save("wan-t2v", tmp_path / "here")
    out = tmp_path / "out.rfv"
    ok(cli("encode", big_clip, out, "--backbone", home, "--bytes", 900, *FEW))
    moved = home.rename(tmp_path / "there")
    lost = cli("decode", out, tmp_path / "out.mkv", "--backbone", home)
    assert (lost.status, "here" in lost.err, "save_pretrained" in lost.err) == (1, True, True)
    assert "2 of 2" in ok(cli("decode", out, tmp_path / "out.mkv", "--backbone", moved)).err
    other = cli("decode", out, tmp_path / "other.mkv", "--backbone", models["i2v"])
    assert other.status == 1
    names = [json.loads(cli("info", out, "--json").out)["header"]["weights"], "wan-i2v", "--backbone"]
    assert all(name in other.err.replace("\n", " ") for name in names), other.err
    assert not (tmp_path / "other.mkv").exists()


def test_another_precision_decodes_with_a_warning_and_a_verdict(models, cli, big_clip, load, tmp_path):
    out, recon = tmp_path / "out.rfv", tmp_path / "recon.mkv"
    arguments = ["encode", big_clip, out, "--backbone", models["t2v"], "--bytes", 900, *FEW, "--recon", recon]
    ok(cli(*arguments, "--set", "backbone_options.dtype=bfloat16"))
    same = ok(cli("decode", out, tmp_path / "same.mkv", "--backbone", models["t2v"]))
    assert "warning" not in same.err
    assert np.array_equal(load(tmp_path / "same.mkv"), load(recon))
    outcome = ok(cli("decode", out, tmp_path / "out.mkv", "--backbone", models["t2v"], "--override", "dtype=float32"))
    err = " ".join(outcome.err.split())
    assert "bfloat16" in err
    assert "float32" in err
    assert "the digest of 0 of 2 GOPs is the encoder's" in err
    difference = load(tmp_path / "out.mkv").astype(int) - load(recon)
    assert np.abs(difference).max() > 0
    assert np.sqrt(np.mean(difference**2.0)) < 5


@pytest.mark.parametrize(
    "options",
    [
        {"guidance_scale": 3, "negative_prompt": "blurred"},
        {"reuse": 2},
        {"cache": "taylorseer"},
        {"vae_tiling": 1},
        {"vae_slicing": 1},
    ],
)
def test_options_stand_in_the_stream_and_bind_the_decoder(options, models, cli, big_clip, tmp_path):
    out = tmp_path / "out.rfv"
    settings = [word for name, value in options.items() for word in ("--set", f"backbone_options.{name}={value}")]
    ok(cli("encode", big_clip, out, "--backbone", models["t2v"], "--bytes", 900, "--prompt", "a ship", *FEW, *settings))
    assert "2 of 2" in ok(cli("decode", out, tmp_path / "out.mkv", "--backbone", models["t2v"])).err
    words = json.loads(cli("info", out, "--json").out)["header"]["backbone_options"]
    assert words == "\n".join(f"{name}={value}" for name, value in sorted(options.items()))


def test_the_prompt_changes_the_stream_and_the_empty_one_needs_no_text_encoder(models, cli, big_clip, tmp_path):
    model = models["t2v"]
    sizes = {}
    for prompt in ("", "a ship"):
        out = tmp_path / f"{len(prompt)}.rfv"
        ok(cli("encode", big_clip, out, "--backbone", model, "--bytes", 900, "--prompt", prompt, *FEW))
        sizes[prompt] = json.loads(cli("info", out, "--json").out)["gops"][0]["symbol_bits"]
    assert sizes[""] > sizes["a ship"]  # the text is paid for
    encoder = model / "text_encoder"
    hidden = encoder.rename(tmp_path / "hidden")
    try:
        assert "2 of 2" in ok(cli("decode", tmp_path / "0.rfv", tmp_path / "0.mkv", "--backbone", model)).err
    finally:
        hidden.rename(encoder)


def test_a_group_offloaded_decoder_computes_the_same(models, cli, big_clip, tmp_path):
    out = tmp_path / "out.rfv"
    ok(cli("encode", big_clip, out, "--backbone", models["t2v"], "--bytes", 900, *FEW))
    assert "2 of 2" in ok(cli("decode", out, tmp_path / "out.mkv", "--backbone", models["t2v"], "--offload", "group")).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mode", "i2v"], ["wan-t2v", "first frame", "another mode"]),
        (["--set", "backbone_options.colour=red"], ["colour", "guidance_scale"]),
        (["--set", "backbone_options.attention_backend=telepathy"], ["attention_backend", "telepathy"]),
        (["--set", "backbone_options.quantization=bnb-4bit"], ["bitsandbytes", "pip install"]),
        (["--set", "backbone_options.pipeline=NoPipeline"], ["NoPipeline"]),
        (["--offload", "model"], ["offload", "cpu"]),
    ],
)
def test_what_cannot_be_done_is_said(arguments, words, models, cli, big_clip, tmp_path):
    outcome = cli("encode", big_clip, tmp_path / "x.rfv", "--backbone", models["t2v"], "--bytes", 3000, *FEW, *arguments)
    assert outcome.status == 1
    assert all(word in " ".join(outcome.err.split()) for word in words), outcome.err
    assert not (tmp_path / "x.rfv").exists()


def test_a_named_checkpoint_that_is_not_here_says_how_to_get_it(cli, big_clip, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    outcome = cli("encode", big_clip, tmp_path / "x.rfv", "--backbone", "wan2.1-t2v-1.3b", "--bytes", 3000)
    assert outcome.status == 1
    assert "hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers" in " ".join(outcome.err.split())


def test_damaged_weights_are_named(cli, big_clip, tmp_path):
    model = tiny_models.save("wan-t2v", tmp_path / "model")
    (model / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"x" * 100)
    outcome = cli("encode", big_clip, tmp_path / "x.rfv", "--backbone", model, "--bytes", 3000)
    assert outcome.status == 1
    assert "transformer" in outcome.err


@pytest.mark.parametrize(("name", "length"), [("wan-flf2v", 5), ("ltx-condition", 9)])
def test_a_lost_gop_costs_its_neighbour_alone(name, length, cli, make_clip, save, load, tmp_path):
    clip = save(tmp_path / "clip.mkv", make_clip(3 * length - 2, 144, 112))
    model = tiny_models.save(name, tmp_path / "model")
    out, whole = tmp_path / "out.rfv", tmp_path / "whole.mkv"
    gop = ["--gop", length, "--set", "trajectory.steps=5", "--set", "trajectory.ode_tail=2"]
    ok(cli("encode", clip, out, "--backbone", model, "--mode", "flf2v", "--bytes", 5000, *gop))
    ok(cli("decode", out, whole, "--backbone", model))
    data = bytearray(out.read_bytes())
    data[json.loads(cli("info", out, "--json").out)["bytes_by_purpose"]["sequence header"] + 60] ^= 255
    out.write_bytes(data)
    damaged = ok(cli("decode", out, tmp_path / "part.mkv", "--partial", "--backbone", model))
    # the second GOP continues the last frame of the lost one, and this model cannot do without
    assert damaged.err.count("warning: GOP") == 2
    kept = slice(2 * length - 1, None)
    assert np.array_equal(load(tmp_path / "part.mkv")[kept], load(whole)[kept])
