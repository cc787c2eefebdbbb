"""Specs as data: what the table says, what a new one may say, and which errors a wrong one meets."""

import inspect
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from rfcodec.backbones.diffusers.calls import FRAME_ARGUMENTS
from rfcodec.backbones.diffusers.families import family_of, pipeline_class
from rfcodec.backbones.diffusers.layout import Layout
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.patches import BESIDE_THE_VIDEO, unchanging
from rfcodec.backbones.diffusers.sources import find_source
from rfcodec.backbones.diffusers.specs import PipelineSpec, all_specs, built_in, read_specs
from rfcodec.coding.intra import STILL_GOP
from rfcodec.errors import BackboneError, ConfigError, UnknownPlugin
from rfcodec.noise import normals
from rfcodec.protocols import Condition, Reference

SPECS = {spec.id: spec for spec in built_in()}
NEW = """
[[pipeline]]
id = "toy"
family = "toy"
like = "wan-t2v"
pipeline = "toys.pipeline:ToyPipeline"
temporal = 2
call = { speed = 3 }
"""


def test_pipelines_know_the_arguments_that_specs_use():
    for spec in SPECS.values():
        kind = pipeline_class(spec.pipeline)
        legal = set(inspect.signature(kind.__call__).parameters)
        used = set(spec.call) | ({"frame_rate"} if spec.frame_rate else set())
        used |= {"latents"} if spec.start == "argument" else set()
        used |= (
            {"guider"} & set(inspect.signature(kind.__init__).parameters) if spec.guidance == "guider" else {spec.guidance}
        )
        used |= {"image": {"image"}, "keyframes": {"conditions"}, "latent_keyframes": {"conditions"}}.get(spec.frames, set())
        used |= {"last_image"} if spec.frames == "image" and "first+last" in spec.takes else set()
        used |= {"video", "mask"} if spec.frames == "video_mask" else set()
        assert used - legal <= {"guider"}, spec.id
        assert spec.frames in FRAME_ARGUMENTS, spec.id


def test_ids_are_unique_and_families_agree_on_geometry():
    assert len(SPECS) == len(built_in())
    for spec in built_in():
        for other in built_in():
            if spec.family == other.family:
                assert (spec.temporal, spec.spatial, spec.multiple) == (
                    other.temporal,
                    other.spatial,
                    other.multiple,
                )


def test_a_spec_is_like_another_but_for_what_it_says():
    (toy,) = read_specs(NEW, built_in())
    assert (toy.temporal, toy.spatial, toy.statistics) == (2, 8, "config")
    assert dict(toy.call) == {"max_sequence_length": 512, "speed": 3}


def test_a_model_brings_its_own_spec(tmp_path):
    (tmp_path / "rfcodec.toml").write_text(NEW)
    assert all_specs(tmp_path)[0].id == "toy"
    assert all_specs()[0].id != "toy"


@pytest.mark.parametrize(
    "change", ["colour = 1", "layout = 'spiral'", "sign = 2", "like = 'nothing'", "takes = ['middle']", "]"]
)
def test_a_wrong_spec_is_named(change):
    text = NEW.replace('like = "wan-t2v"', "") if change.startswith("like") else NEW
    with pytest.raises(BackboneError, match=r"docs/backbones\.md"):
        read_specs(text + change, built_in())


@dataclass
class Config:
    values: dict = field(default_factory=dict)

    def __getattr__(self, name):
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


class WanImageToVideoPipeline:
    """The same name as that of diffusers, with a configuration alone."""

    def __init__(self, transformer, **config):
        self.transformer = type("Model", (), {"config": Config(transformer)})()
        self.config = Config(config)


class StrangePipeline:
    config = Config()


@pytest.mark.parametrize(
    ("transformer", "config", "family"),
    [
        ({"image_dim": 4}, {}, "wan-i2v"),
        ({"image_dim": 4, "pos_embed_seq_len": 8}, {}, "wan-flf2v"),
        ({}, {"expand_timesteps": True}, "wan22-ti2v"),
        ({"image_dim": None}, {"expand_timesteps": False, "boundary_ratio": 0.9}, "wan22-i2v"),
    ],
)
def test_a_pipeline_is_known_by_its_configuration(transformer, config, family):
    found = family_of(WanImageToVideoPipeline(transformer, **config), built_in())
    assert found[0].family == family
    assert {spec.family for spec in found} == {family}


def test_a_pipeline_of_no_family_is_named():
    with pytest.raises(BackboneError, match=r"StrangePipeline .* known: .*WanPipeline"):
        family_of(StrangePipeline(), built_in())


def test_a_pipeline_that_cannot_be_imported_is_named():
    with pytest.raises(BackboneError, match=r"toys\.pipeline:ToyPipeline"):
        pipeline_class("toys.pipeline:ToyPipeline")


@pytest.mark.parametrize(
    ("positions", "count", "places"),
    [
        ((), 5, "none"),
        ((0,), 5, "first"),
        ((4,), 5, "last"),
        ((0, 4), 5, "first+last"),
        ((2,), 5, "any"),
        ((0, 3), 5, "any"),
        ((0,), 1, "first"),
    ],
)
def test_places_are_those_of_the_references(positions, count, places):
    frame = np.zeros((8, 8, 3), np.uint8)
    references = tuple(Reference(frame, 0.0, position) for position in positions)
    assert Condition(count, 8, 8, references=references).places == places


# Layout

SHAPE, TOTAL = (3, 2, 2, 4), 3


def spec_with(**changes):
    return PipelineSpec(id="x", family="x", pipeline="X", **changes)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"layout": "frames"}, (1, 3, 3, 2, 4)),
        ({"layout": "frames"}, (1, 3, 2, 2, 4)),
        ({"layout": "channels_last"}, (1, 3, 2, 4, 3)),
        ({"layout": "channels_last"}, (1, 3, 2, 4, 7)),
        ({"layout": "tokens"}, (1, 24, 3)),
        ({"layout": "tokens"}, (1, 16, 3)),
        ({"layout": "tokens"}, (1, 32, 3)),
        ({"layout": "tokens", "extra": "after"}, (1, 32, 3)),
        ({"layout": "tokens", "extra": "after"}, (1, 24, 3)),
        ({"layout": "tokens"}, (1, 3, 2, 2, 4)),
    ],
)
def test_what_is_placed_is_taken_and_nothing_else_changes(changes, state):
    layout = Layout(spec_with(**changes), SHAPE, TOTAL)
    before = torch.randn(state)
    latents = torch.randn(SHAPE)
    after = layout.place(before, latents)
    assert torch.equal(layout.take(after), latents)
    assert int((after != before).sum()) == latents.numel()
    assert torch.equal(layout.place(after, layout.take(before)), before)


def test_tokens_run_over_columns_first():
    state = torch.arange(24.0).reshape(1, 24, 1).expand(1, 24, 3)
    assert Layout(spec_with(layout="tokens"), SHAPE, TOTAL).take(state)[0, 0, 0].tolist() == [8, 9, 10, 11]
    state = torch.arange(32.0).reshape(1, 32, 1).expand(1, 32, 3)
    assert Layout(spec_with(layout="tokens", extra="after"), SHAPE, TOTAL).take(state)[0, 0, 0].tolist() == [8, 9, 10, 11]


# Options and names


def test_options_are_read_from_the_words_of_the_stream():
    options = DiffusersOptions.read({"guidance_scale": "2.5", "reuse": "2", "vae_tiling": "1", "dtype": "bfloat16"})
    assert (options.guidance_scale, options.reuse, options.vae_tiling, options.dtype) == (2.5, 2, True, "bfloat16")


@pytest.mark.parametrize("options", [{"guidance_scale": "x"}, {"colour": "red"}, {"dtype": "int3"}, {"reuse": "0"}])
def test_wrong_options_are_named(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        DiffusersOptions.read(options)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("guidance", "guidance_scale"), ("negative", "negative_prompt"), ("attention_backed", "attention_backend")],
)
def test_a_wrong_option_name_meets_the_one_that_was_meant(given, meant):
    with pytest.raises(ConfigError, match=rf"backbone_options\.{given} .*legal names: .*did you mean '{meant}'"):
        DiffusersOptions.read({given: "2"})
    with pytest.raises(ConfigError) as raised:
        DiffusersOptions.read({"colour": "red"})
    assert "did you mean" not in str(raised.value)
    assert "guidance_scale_2" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "need"),
    [
        ({"guidance_scale_2": "3"}, "guidance_scale above 1"),
        ({"gguf": "x"}, "quantization=gguf"),
        ({"mag_ratios": "1"}, "cache=magcache"),
    ],
)
def test_an_option_that_needs_another_names_it(options, need):
    with pytest.raises(ConfigError, match=f"{next(iter(options))} has no effect without {need}$"):
        DiffusersOptions.read(options)


def test_what_touches_arithmetic_stands_in_the_arithmetic():
    plain = DiffusersOptions().arithmetic_words()
    assert plain == "float32"
    for name, value in {"attention_backend": "flash", "cache": "taylorseer", "driver": "pipeline", "compile": "1"}.items():
        assert name in DiffusersOptions.read({name: value}).arithmetic_words()


@pytest.mark.parametrize("name", ["nonsense", "a/b/c", "../nowhere"])
def test_a_name_that_is_nothing_is_named(name):
    with pytest.raises(UnknownPlugin, match="save_pretrained"):
        find_source(name)


def test_a_folder_without_a_model_is_said_to_be_one(tmp_path):
    with pytest.raises(UnknownPlugin, match=r"model_index\.json"):
        find_source(str(tmp_path))


# Noise beside the video


def test_what_is_no_video_has_addressed_noise():
    noise = unchanging(lambda *shape: torch.empty(shape, dtype=torch.float64))(4, 5, 1000)
    assert torch.equal(noise.flatten(), torch.from_numpy(normals(BESIDE_THE_VIDEO, 20000)).double())
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
    again = unchanging(lambda: torch.empty(3, dtype=torch.float32))()
    assert again.tolist() == noise.flatten()[:3].tolist()


def test_its_address_is_none_that_a_stream_uses():
    # GOPs are counted by frames, of which there are fewer than 2^32, and stills lie beyond them
    assert BESIDE_THE_VIDEO.gop > STILL_GOP == 1 << 32
