"""What would corrupt a stream of a pretrained pipeline without a word (docs/traps.md): a test for each guard."""

import copy
import dataclasses

import diffusers
import family_checks as checks
import numpy as np
import pytest
import tiny_models
import torch

from rfcodec.backbones.diffusers.identity import folder_tensors, module_tensors, weights_digest
from rfcodec.backbones.diffusers.layout import Layout
from rfcodec.backbones.diffusers.loading import open_live
from rfcodec.backbones.diffusers.pipeline import drive
from rfcodec.backbones.diffusers.scheduler import Tap, TapScheduler
from rfcodec.backbones.diffusers.specs import built_in
from rfcodec.coding.header import open_backbone
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, ConfigError, UnsupportedCondition

IMAGE_MODELS = [name for name in tiny_models.BUILDERS if "first" in checks.conditions(name)]


@pytest.fixture
def live():
    """live(name, known, driver, **options) -> (backbone, prepared condition) over a tiny pipeline."""

    def make(name, known, driver="pipeline", **options):
        backbone = open_live(tiny_models.build(name), {"driver": driver, **options})
        return backbone, backbone.prepare(checks.condition_of(backbone, known))

    return make


def run(backbone, prepared, grid=checks.GRID):
    return backbone.run(prepared, checks.EulerStep(checks.noise_for(prepared.shape), grid))


# Grids and times


@pytest.mark.parametrize(
    "arguments", [{"num_inference_steps": 7}, {"sigmas": [1.0, 0.3]}, {"mu": 1.3}, {"timesteps": [999]}]
)
def test_the_grid_is_ours_whatever_a_pipeline_asks_for(arguments):
    spec = built_in()[0]
    scheduler = TapScheduler()
    scheduler.listen(Tap(checks.EulerStep(torch.zeros(1, 1, 1, 1)), spec, Layout(spec, (1, 1, 1, 1), 1)))
    scheduler.set_timesteps(**arguments)
    assert scheduler.sigmas.tolist() == torch.tensor(checks.GRID).tolist()
    # never rounded to whole numbers, which would tell the model another time than the step uses
    assert torch.equal(scheduler.timesteps, torch.tensor(checks.GRID[:-1]) * 1000)


def test_a_wrong_sign_or_time_is_noticed(live):
    backbone, prepared = live("mochi-t2v", "none")
    right = run(backbone, prepared)
    for change in ({"sign": 1}, {"time": "sigma"}):
        wrong = dataclasses.replace(prepared, spec=prepared.spec.model_copy(update=change))
        found = drive(wrong, checks.EulerStep(checks.noise_for(prepared.shape)), backbone.options)
        assert checks.relative(found, right) > 1e-2


# What a pipeline does by default


@pytest.mark.parametrize("name", tiny_models.BUILDERS)
def test_a_step_costs_one_evaluation(name, live, monkeypatch):
    backbone, prepared = live(name, checks.conditions(name)[0])
    calls = []
    for model in (prepared.pipeline.transformer, getattr(prepared.pipeline, "transformer_2", None)):
        if model is not None:
            model.register_forward_hook(lambda *_: calls.append(1))
    run(backbone, prepared)
    assert len(calls) == len(checks.GRID) - 1


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_nothing_depends_on_the_global_generator(name, live):
    backbone, prepared = live(name, "first")
    torch.manual_seed(1)
    one = run(backbone, prepared)
    torch.manual_seed(2)
    assert torch.equal(one, run(backbone, prepared))
    assert bool(torch.isfinite(one).all())


@pytest.mark.parametrize("name", tiny_models.BUILDERS)
def test_nothing_that_a_pipeline_draws_is_kept(name, live, monkeypatch):
    backbone, prepared = live(name, checks.conditions(name)[-1])
    one = run(backbone, prepared)
    kind, seeds = type(prepared.pipeline), []
    call = kind.__call__

    def seeded(self, **given):
        seeds.append(5)
        return call(self, **given | {"generator": torch.Generator().manual_seed(5)})

    monkeypatch.setattr(kind, "__call__", seeded)
    assert torch.equal(one, run(backbone, prepared))
    assert seeds == [5]


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_the_known_frame_reaches_the_model(name, live):
    backbone, prepared = live(name, "first")
    condition = prepared.condition
    other = dataclasses.replace(condition.first, frame=255 - condition.first.frame)
    changed = backbone.prepare(dataclasses.replace(condition, references=(other, *condition.references[1:])))
    f = prepared.shape[1]
    assert checks.relative(run(backbone, changed)[:, -f:], run(backbone, prepared)[:, -f:]) > 1e-4


def test_wan_attends_to_the_padding_of_its_text(live):
    backbone, prepared = live("wan-i2v", "first")
    assert prepared.arguments["max_sequence_length"] == 512
    shorter = dataclasses.replace(prepared, arguments=dict(prepared.arguments) | {"max_sequence_length": 64})
    # it runs, encoder and decoder agree, and it is another model
    assert checks.relative(run(backbone, shorter), run(backbone, prepared)) > 1e-3


def test_pipelines_of_one_family_embed_text_each_in_their_way(live):
    backbone, prepared = live("ltx-t2v", "none")
    plain = run(backbone, prepared)
    condition, other = live("ltx-condition", "none")
    assert checks.relative(run(condition, other), plain) > 1e-4


def test_known_frames_go_in_as_they_are(live):
    assert live("ltx2-i2v", "first")[1].arguments["image_crf"] == 0
    assert [item.crf for item in live("ltx2-condition", "first+last")[1].arguments["conditions"]] == [0, 0]
    assert live("ltx-condition", "first")[1].arguments["image_cond_noise_scale"] == 0


# What a model cannot take


@pytest.mark.parametrize("name", tiny_models.BUILDERS)
def test_what_a_model_cannot_take_is_an_error(name, live):
    backbone, _ = live(name, checks.conditions(name)[0])
    family = next(spec.family for spec in built_in() if spec.id == checks.spec_of(name))
    takes = {known for spec in built_in() if spec.family == family for known in spec.takes}
    for known in ("none", "first", "last", "first+last"):
        condition = checks.condition_of(backbone, known)
        if known in takes:
            assert backbone.prepare(condition).spec.family == family
        else:
            with pytest.raises(UnsupportedCondition, match=family):
                backbone.prepare(condition)


@pytest.mark.parametrize(
    ("name", "options"),
    [("hunyuan-i2v", {"guidance_scale": "3"}), ("wan-t2v", {"frame_rate": "24"}), ("mochi-t2v", {"guidance_scale_2": "2"})],
)
def test_an_option_without_effect_is_an_error(name, options, live):
    with pytest.raises(ConfigError, match=next(iter(options))):
        live(name, checks.conditions(name)[0], **options)


@pytest.mark.parametrize("name", ["wan22-ti2v-t2v", "ltx-t2v"])
def test_a_pipeline_of_the_family_takes_what_the_loaded_one_cannot(name, live):
    backbone, prepared = live(name, "first")
    assert type(prepared.pipeline) is not type(backbone.prepare(checks.condition_of(backbone, "none")).pipeline)
    expected, other = live({"ltx-t2v": "ltx-i2v"}.get(name, "wan22-ti2v"), "first")
    assert torch.equal(run(backbone, prepared), run(expected, other))


def test_a_loaded_pipeline_embeds_text_as_its_relative_does(live, tmp_path):
    loaded = open_backbone(str(tiny_models.save("ltx-t2v", tmp_path / "model")), "driver=pipeline", RuntimeConfig())
    expected, prepared = live("ltx-condition", "first+last")
    found = loaded.prepare(checks.condition_of(loaded, "first+last"))
    assert torch.equal(run(loaded, found), run(expected, prepared))


class ForcedPipeline(diffusers.WanPipeline):
    """Does what diffusion forcing does: a scheduler of its own for every frame."""

    def __call__(self, **options):
        copy.deepcopy(self.scheduler)


class LazyPipeline(diffusers.WanPipeline):
    """Leaves steps out."""

    def __call__(self, latents=None, **options):
        self.scheduler.step(latents, 0, latents)


@pytest.mark.parametrize(("kind", "message"), [(ForcedPipeline, "copies its scheduler"), (LazyPipeline, "1 steps of 4")])
def test_a_pipeline_that_cannot_be_driven_is_refused(kind, message, live):
    backbone, prepared = live("wan-t2v", "none")
    pipe = kind(**prepared.pipeline.components)
    scheduler = pipe.scheduler
    with pytest.raises(BackboneError, match=message):
        run(backbone, dataclasses.replace(prepared, pipeline=pipe))
    assert pipe.scheduler is scheduler


# State that outlives a run


def test_a_live_pipeline_is_left_as_it_was(live):
    for name in ("ltx-condition", "hunyuan15-i2v", "ltx2-t2v"):
        backbone, prepared = live(name, checks.conditions(name)[-1])
        pipe = prepared.pipeline
        before = (
            {key: id(value) for key, value in vars(pipe).items()},
            dict(vars(pipe.vae)),
            dict(vars(pipe.video_processor)),
        )
        run(backbone, prepared)
        after = {key: id(value) for key, value in vars(pipe).items()}, dict(vars(pipe.vae)), dict(vars(pipe.video_processor))
        assert {key: value for key, value in after[0].items() if key in before[0]} == before[0]
        assert {key for key in set(after[0]) - set(before[0]) if not key.startswith("_")} == set()
        assert after[1:] == before[1:]


CACHED = [{"cache": "taylorseer", "cache_warmup": "2"}, {"cache": "magcache", "cache_warmup": "1", "mag_ratios": "1,1,1,1"}]


@pytest.mark.parametrize("options", CACHED)
@pytest.mark.parametrize(
    ("name", "driver"), [("wan-t2v", "native"), ("wan-t2v", "pipeline"), ("ltx-t2v", "native"), ("mochi-t2v", "pipeline")]
)
def test_caches_are_fresh_in_every_run_and_do_something(name, driver, options, live):
    grid = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.0)
    plain = run(*live(name, "none", driver), grid)
    backbone, prepared = live(name, "none", driver, **options)
    one = run(backbone, prepared, grid)
    run(backbone, prepared, checks.GRID)
    assert torch.equal(one, run(backbone, prepared, grid))
    assert 1e-7 < checks.relative(one, plain) < 1


def test_magcache_needs_its_ratios(live):
    backbone, prepared = live("wan-t2v", "none", "native", cache="magcache")
    with pytest.raises(ConfigError, match="mag_ratios"):
        run(backbone, prepared)


def test_an_attention_backend_of_another_model_is_not_inherited(tmp_path):
    folder = tiny_models.save("wan-t2v", tmp_path / "model")
    other = tiny_models.build("wan-t2v")
    other.transformer.set_attention_backend("_native_math")
    backbone = open_backbone(str(folder), "", RuntimeConfig())
    model = backbone.prepare(checks.condition_of(backbone, "none")).pipeline.transformer
    backends = {module.processor._attention_backend for module in model.modules() if hasattr(module, "processor")}
    assert {getattr(backend, "value", backend) for backend in backends} == {"native"}
    tiny_models.build("wan-t2v").transformer.set_attention_backend("native")


# Precision and weights


def test_layers_that_must_stay_float32_do(tmp_path):
    folder = tiny_models.save("wan-t2v", tmp_path / "model")
    backbone = open_backbone(str(folder), "dtype=bfloat16", RuntimeConfig())
    pipe = backbone.prepare(checks.condition_of(backbone, "none")).pipeline
    kinds = {parameter.dtype for parameter in pipe.transformer.parameters()}
    assert kinds == {torch.float32, torch.bfloat16}
    assert {parameter.dtype for parameter in pipe.vae.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["wan-i2v", "ltx-t2v", "hunyuan-t2v", "ltx2-t2v"])
def test_loaded_weights_compute_what_live_ones_do(name, tmp_path):
    known = checks.conditions(name)[0]
    loaded = open_backbone(str(tiny_models.save(name, tmp_path / name)), "", RuntimeConfig())
    live = open_live(tiny_models.build(name), {})
    results = [run(backbone, backbone.prepare(checks.condition_of(backbone, known))) for backbone in (loaded, live)]
    assert torch.equal(*results)
    assert loaded.identity.weights == live.identity.weights


PARTS = ["transformer", "vae"]


def test_copies_in_other_precisions_are_one_model_and_other_weights_are_another(tmp_path):
    pipe = tiny_models.build("wan-t2v")
    digest = weights_digest(module_tensors(pipe.components))
    pipe.save_pretrained(tmp_path / "full")
    assert weights_digest(folder_tensors(tmp_path / "full", PARTS)) == digest
    for part in (pipe.transformer, pipe.vae):
        part.to(torch.bfloat16)
    pipe.save_pretrained(tmp_path / "half")
    assert weights_digest(folder_tensors(tmp_path / "half", PARTS)) == digest
    pipe.text_encoder = None
    assert weights_digest(module_tensors(pipe.components)) == digest
    next(pipe.transformer.parameters()).data[0] += 1
    assert weights_digest(module_tensors(pipe.components)) != digest


def test_a_configuration_that_names_a_missing_expert_is_mended(tmp_path):
    pipe = tiny_models.build("wan-t2v")
    pipe.register_to_config(boundary_ratio=0.9)
    pipe.save_pretrained(tmp_path / "model")
    for driver in ("native", "pipeline"):
        backbone = open_backbone(str(tmp_path / "model"), f"driver={driver}", RuntimeConfig())
        run(backbone, backbone.prepare(checks.condition_of(backbone, "none")))


def test_frames_beyond_the_last_group_are_not_dropped(tmp_path):
    model = tiny_models.save("wan-t2v", tmp_path / "model")
    path, shown = checks.encode(model, "none", tmp_path)
    assert len(shown) == 8  # a group and a half: the VAE alone would give 5
    decoded = np.concatenate([piece.frames for piece in checks.api.decode(path, backbone=str(model))])
    assert decoded.shape == shown.shape == (8, 56, 72, 3)
