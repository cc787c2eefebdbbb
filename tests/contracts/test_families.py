"""Every family of pipelines: parity with the pipeline itself, and files that a fresh process decodes to the last bit."""

import family_checks as checks
import pytest
import tiny_models
import torch

from rfcodec.backbones.diffusers.loading import open_live

CASES = [(name, known) for name in tiny_models.BUILDERS for known in checks.conditions(name)]
GUIDED = [("wan22-t2v", "none"), ("wan-vace", "first"), ("ltx-condition", "first+last"), ("mochi-t2v", "none")]


@pytest.mark.parametrize(("name", "known"), CASES)
def test_our_driver_is_the_pipeline(name, known):
    assert checks.parity(name, known) < checks.TOLERANCE


@pytest.mark.parametrize(("name", "known"), [case for case in CASES if case[0].startswith(("wan", "ltx-", "skyreels"))])
def test_our_velocity_is_the_driver(name, known):
    assert checks.native_parity(name, known) < checks.TOLERANCE


@pytest.mark.parametrize(("name", "known"), [case for case in GUIDED if case[0] in tiny_models.BUILDERS])
def test_guidance_is_the_pipelines_own(name, known):
    assert checks.parity(name, known, guidance_scale="3") < checks.TOLERANCE
    assert (checks.native_parity(name, known, guidance_scale="3") or 0) < checks.TOLERANCE


@pytest.mark.parametrize(("name", "known"), CASES)
def test_our_frames_are_the_pipelines(name, known):
    assert (checks.decoding(name, known) or 0) <= 1


@pytest.mark.parametrize("name", ["wan-t2v", "wan22-ti2v", "ltx-t2v", "hunyuan-t2v", "hunyuan15-t2v", "mochi-t2v"])
def test_latents_are_normalised_by_the_autoencoders_own_figures(name):
    pipe = tiny_models.build(name)
    backbone, vae = open_live(pipe, {}), pipe.vae
    source = vae.config if getattr(vae.config, "latents_mean", None) else vae
    mean, std = (
        torch.as_tensor(getattr(source, f"latents_{what}", none)) for what, none in (("mean", [0.0]), ("std", [1.0]))
    )
    frames = checks.frames_of(1 + backbone.geometry.temporal, 64, 64)
    pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)[None] / 127.5 - 1
    raw = vae.encode(pixels).latent_dist.mode()[0]
    scale = getattr(vae.config, "scaling_factor", None) or 1.0
    expected = (raw - mean.reshape(-1, 1, 1, 1)) / std.reshape(-1, 1, 1, 1) * scale
    torch.testing.assert_close(backbone.encode(frames), expected)


# a process for each group, whose start costs more than its work; the few have every way of giving known frames
FEW = ["wan-flf2v", "wan22-ti2v", "ltx-condition", "hunyuan-i2v-replace", "mochi-t2v"]
MORE = [name for name in tiny_models.BUILDERS if name not in FEW]


@pytest.mark.parametrize("names", [FEW, pytest.param(MORE, marks=pytest.mark.slow)], ids=["few", "more"])
def test_a_fresh_process_decodes_what_the_encoder_reconstructed(names, tmp_path):
    equal = checks.round_trips(names, tmp_path)
    assert {name for name, _ in equal} == set(names)
    assert equal == dict.fromkeys(equal, True)
