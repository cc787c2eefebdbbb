"""Estimates without weights: against figures that were published or measured, and what the command line says of them."""

import hashlib
import inspect
import json
from functools import cache

import diffusers
import pytest
import tiny_models
import torch

from rfcodec.backbones.diffusers.blueprint import blueprint, parameters
from rfcodec.backbones.diffusers.estimate import PROBES, estimate
from rfcodec.backbones.diffusers.operations import CALLS, Call, count_operations, hidden_width
from rfcodec.backbones.diffusers.options import DiffusersOptions
from rfcodec.backbones.diffusers.sources import HUB_ID, checkpoints
from rfcodec.backbones.diffusers.specs import built_in
from rfcodec.backbones.tiny.weights import folder
from rfcodec.cli.backbone_report import backbone_facts, fact_rows
from rfcodec.cli.plugin_report import checkpoint_rows
from rfcodec.coding.information import PILOT_LOG_SNR
from rfcodec.errors import ConfigError, MissingWeights, UnknownPlugin

HALF = DiffusersOptions(dtype="bfloat16")
# 10^9 parameters as the owners say; layers for known frames come on top of what they say
PUBLISHED = {
    "wan2.1-t2v-1.3b": 1.3,
    "wan2.1-t2v-14b": 14,
    "wan2.2-ti2v-5b": 5,
    "skyreels-v2-t2v-14b-540p": 14,
    "ltx-video-0.9.1": 2,
    "ltx-video-0.9.7-13b": 13,
    "ltx-2": 19,
    "hunyuan-video": 13,
    "hunyuan-video-i2v": 13,
    "hunyuan-video-1.5-480p-t2v": 8.3,
    "mochi-1": 10,
    "kandinsky-5-lite-t2v": 2,
    "kandinsky-5-pro-i2v": 19,
}
LARGER = {"wan2.1-i2v-14b-480p": 14, "wan2.1-flf2v-14b": 14, "wan2.1-vace-1.3b": 1.3, "skyreels-v2-i2v-1.3b-540p": 1.3}
# bytes of the published files of weights
FILES = {
    ("kandinsky-5-lite-t2v", "transformers"): 4573130528,
    ("kandinsky-5-pro-t2v", "transformers"): 43385935392,
    ("ltx-video-0.9.0", "transformers"): 3.85e9,
    ("ltx-video-0.9.1", "vae"): 1.87e9,
    ("ltx-video-0.9.7-13b", "vae"): 2.49e9,
}
OPERATIONS = [
    ("wan2.1-t2v-1.3b", (832, 480, 1), 4.7),
    ("wan2.1-t2v-1.3b", (832, 480, 9), 16.3),
    ("wan2.1-t2v-1.3b", (832, 480, 33), 72.9),
    ("wan2.1-t2v-1.3b", (832, 480, 81), 283),
    ("ltx-video-0.9.1", (704, 480, 161), 34),
    ("hunyuan-video", (848, 480, 61), 836),
]
# of each class of transformers: one checkpoint, and what makes it shallow
SHALLOW = {
    "wan2.1-flf2v-14b": {"num_layers": 2},
    "wan2.1-vace-1.3b": {"num_layers": 2, "vace_layers": [0]},
    "skyreels-v2-i2v-1.3b-540p": {"num_layers": 2},
    "ltx-video-0.9.5": {"num_layers": 2},
    "ltx-2": {"num_layers": 1},
    "hunyuan-video-i2v-33ch": {"num_layers": 1, "num_single_layers": 1},
    "hunyuan-video-1.5-480p-i2v": {"num_layers": 2},
    "mochi-1": {"num_layers": 2},
    "kandinsky-5-lite-t2v": {"num_visual_blocks": 2},
}


def plan_of(name):
    """The blueprint, made once of checkpoints that are built alike."""
    built = {"family", "takes", "vae", "transformer", "experts", "text_billions"}
    said = {other: known.model_dump(include=built) for other, known in checkpoints().items()}
    return first_plan(next(other for other in said if said[other] == said[name]))


@cache
def first_plan(name):
    return blueprint(name)


@pytest.fixture
def uncounted(monkeypatch):
    """Estimates of checkpoints from blueprints made before, with ten TFLOP for every evaluation."""

    def made(name):
        return plan_of(name) if name in checkpoints() else blueprint(name)

    monkeypatch.setattr("rfcodec.backbones.diffusers.estimate.blueprint", made)
    monkeypatch.setattr("rfcodec.backbones.diffusers.estimate.count_operations", lambda *_: (10.0, ""))


def test_checkpoints_are_of_known_families_and_classes():
    for name in checkpoints():
        known = checkpoints()[name]
        specs = [spec for spec in built_in() if spec.family == known.family]
        assert specs, name
        assert HUB_ID.fullmatch(known.hub), name
        assert set(known.takes) <= {words for spec in specs for words in spec.takes}, name
        assert known.transformer["class"] in CALLS, name
        for table in (known.transformer, known.vae):
            legal = inspect.signature(getattr(diffusers, table["class"]).__init__).parameters
            assert set(table) - {"class"} <= set(legal), name
        assert known.text_billions > 1, name
        assert known.licence, name


def test_checkpoints_are_what_their_specs_look_for():
    for name in checkpoints():
        known, plan = checkpoints()[name], plan_of(name)
        for spec in plan.specs:
            for entry in spec.when:
                path, _, wanted = entry.partition("=")
                part, _, field = path.rpartition(".")
                value = getattr(getattr(plan, part).config, field) if part else "a setting of the pipeline"
                assert value == wanted if wanted else value, name
        latent = plan.geometry.channels
        assert getattr(plan.transformer.config, "out_channels", latent) in (latent, None), name
        assert {parameter.device.type for parameter in plan.transformer.parameters()} == {"meta"}, name
        assert plan.experts == known.experts, name


def test_parameters_are_those_that_were_published():
    for name, billions in PUBLISHED.items():
        assert parameters(plan_of(name).transformer) / 1e9 == pytest.approx(billions, rel=0.1), (name, billions)


def test_layers_for_known_frames_come_on_top():
    for name, billions in LARGER.items():
        assert billions < parameters(plan_of(name).transformer) / 1e9 < 1.7 * billions, (name, billions)


@pytest.mark.parametrize(("name", "frames", "tflop"), [(n, s, t) for n, s, t in OPERATIONS], ids=lambda value: str(value))
def test_operations_are_those_that_were_counted_before(name, frames, tflop):
    found = estimate(name, *frames, HALF)
    assert found.tflop == pytest.approx(tflop, rel=0.015)
    assert found.uncounted == ""


@pytest.mark.parametrize("name", SHALLOW)
def test_operations_of_every_class_are_matrices_and_attention(name):
    """2 parameters x tokens + 4 tokens^2 x width x layers, for the layers that see the video."""
    table = {**checkpoints()[name].transformer, **SHALLOW[name]}
    with torch.device("meta"):
        model = getattr(diffusers, table.pop("class"))(**table).eval()
    call = Call((16, 9, 60, 104), 33, 256, False, 24)
    tflop, why = count_operations(model, call)
    assert why == ""
    tokens, width = call.tokens(model.config), hidden_width(model.config)
    layers = sum(value if isinstance(value, int) else len(value) for value in SHALLOW[name].values())
    attention = 4 * tokens**2 * width * layers / 1e12
    assert attention < tflop < attention + 2 * tokens * parameters(model) / 1e12
    assert tflop > 0.4 * (attention + 2 * tokens * parameters(model) / 1e12)


def test_models_that_cannot_be_counted_say_why(monkeypatch):
    call = Call((16, 9, 60, 104), 33, 512, False, 24)
    assert count_operations(torch.nn.Linear(2, 2), call) == (None, "how a Linear is called is not known here")
    monkeypatch.setitem(CALLS, "Linear", lambda model, call: model(torch.empty(3, device="meta")))
    tflop, why = count_operations(torch.nn.Linear(2, 2, device="meta"), call)
    assert tflop is None
    assert "a Linear of these sizes cannot be run without weights" in why


@pytest.mark.parametrize(("name", "part"), FILES, ids=str)
def test_weights_are_as_large_as_the_published_files(name, part, uncounted):
    memory = estimate(name, 64, 64, 9, DiffusersOptions(dtype="bfloat16", vae_dtype="bfloat16")).memory
    assert getattr(memory, part) * 1e9 == pytest.approx(FILES[name, part], rel=0.005)


def test_the_profile_is_measured_by_as_many_evaluations():
    assert len(PILOT_LOG_SNR) + 1 == PROBES


def test_what_options_change(uncounted):
    def of(name="wan2.1-t2v-1.3b", **options):
        return estimate(name, 830, 470, 30, DiffusersOptions(**options))

    plain = of()
    assert (plain.width, plain.height, plain.frames) == (832, 480, 33)
    assert (plain.tflop_decode, plain.tflop_encode) == (200, 290)
    assert of(guidance_scale=5).tflop_decode == 400
    assert of("hunyuan-video", guidance_scale=5).tflop_decode == 200  # embedded
    assert of(reuse=3).evaluations == 7
    assert of(dtype="bfloat16").memory.text_encoders == plain.memory.text_encoders / 2
    assert of(quantization="bnb-4bit").memory.transformers < plain.memory.transformers / 6
    assert of(vae_tiling=True).memory.vae_work < plain.memory.vae_work / 4
    assert of("wan2.2-t2v-a14b").memory.transformers == 2 * of("wan2.1-t2v-14b").memory.transformers
    memory = plain.memory
    assert memory.group_offload < memory.model_offload < memory.without_text < memory.everything
    assert memory.work < memory.group_offload
    assert memory.embedding < memory.everything


@pytest.mark.parametrize("name", ["wan-i2v", "wan22-i2v", "ltx-condition"])
def test_a_folder_is_estimated_by_its_configuration(name, tmp_path):
    pipe = tiny_models.build(name)
    pipe.save_pretrained(tmp_path)
    found = estimate(str(tmp_path), 64, 64, 9, HALF)
    live = {part: parameters(module) for part, module in pipe.components.items() if isinstance(module, torch.nn.Module)}
    spec = next(spec for spec in built_in() if spec.id == name)
    assert found.family == spec.family
    assert set(spec.takes) <= set(found.takes)
    assert found.weights["transformer"] == live["transformer"] / 1e9
    assert found.weights["vae"] == live["vae"] / 1e9
    assert found.weights["text_encoders"] == sum(live[part] for part in live if part.startswith("text_encoder")) / 1e9
    assert found.weights["others"] == pytest.approx(live.get("image_encoder", 0) / 1e9)
    assert found.experts == (2 if "transformer_2" in live else 1)
    facts = backbone_facts(str(tmp_path), (64, 64), 9, {"dtype": "bfloat16"})
    assert facts["weights"] == {"from": "folder", "folder": str(tmp_path), "here": True, "missing": []}
    assert "not known here" in facts["licence"]


def test_whether_weights_are_here(tmp_path, monkeypatch, uncounted):
    name = "wan2.1-t2v-1.3b"
    monkeypatch.setattr("rfcodec.backbones.diffusers.estimate.count_operations", lambda *_: (None, "of a reason"))
    assert not backbone_facts(name, (64, 64), 9, {"dtype": "bfloat16"})["weights"]["here"]
    tiny_models.save("wan-t2v", tmp_path)
    monkeypatch.setattr("rfcodec.backbones.diffusers.facts.cached_folder", lambda hub: tmp_path)
    assert backbone_facts(name, (64, 64), 9, {"dtype": "bfloat16"})["weights"]["here"]
    (tmp_path / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    facts = backbone_facts(name, (64, 64), 9, {"dtype": "bfloat16"})
    assert facts["weights"]["missing"] == ["transformer"]
    assert "in part" in dict(fact_rows(facts))["on this machine"]
    assert "of a reason" in dict(fact_rows(facts))["operations"]
    shards = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(shards))
    (tmp_path / "transformer" / "one.safetensors").touch()
    assert backbone_facts(name, (64, 64), 9, {"dtype": "bfloat16"})["weights"]["missing"] == ["transformer"]
    (tmp_path / "transformer" / "two.safetensors").touch()
    assert backbone_facts(name, (64, 64), 9, {"dtype": "bfloat16"})["weights"]["missing"] == []


@pytest.mark.parametrize("name", ["tiny", "tiny-fast"])
def test_weights_in_the_package_say_whence_they_are(name):
    facts = backbone_facts(name, (64, 64), 9, {"dtype": "bfloat16"})
    told, stored = dict(fact_rows(facts)), folder() / f"{name}.safetensors"
    assert told["sha256"] == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert f"{stored.stat().st_size / 1e6:.2f} MB" in told["weights"]
    assert facts["shipped"]["bytes"] == stored.stat().st_size
    assert all(told[label] for label in ("trained on", "compute", "licence"))


def test_names_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(UnknownPlugin, match="nonsense"):
        estimate("nonsense", 64, 64, 9, HALF)
    with pytest.raises(MissingWeights, match="nothing is known of nobody/nothing"):
        estimate("nobody/nothing", 64, 64, 9, HALF)
    (tmp_path / "model_index.json").write_text('{"_class_name": "WanPipeline"}')
    with pytest.raises(MissingWeights, match="transformer"):
        estimate(str(tmp_path), 64, 64, 9, HALF)
    with pytest.raises(ConfigError, match="at least 1"):
        backbone_facts("gaussian", (64, 0), 9, {"dtype": "bfloat16"})
    with pytest.raises(ConfigError, match="diffusers"):
        backbone_facts("diffusers", (64, 64), 9, {})


def test_a_hub_id_of_a_named_checkpoint_is_known(uncounted):
    assert estimate(checkpoints()["mochi-1"].hub, 64, 64, 7, HALF).family == "mochi"


def test_the_command_line_lists_and_shows(cli, uncounted):
    listed = json.loads(cli("backbones", "--json").out)
    assert {"gaussian", "diffusers"} <= {row["name"] for row in listed["installed"]}
    assert listed["checkpoints"] == checkpoint_rows()
    shown = cli("backbones", "show", "wan2.1-t2v-1.3b", "--size", "64x64", "--frames", "9", "--dtype", "bfloat16", "--json")
    facts = json.loads(shown.out)
    assert (facts["family"], facts["takes"], facts["licence"]) == ("wan-t2v", ["none"], "Apache-2.0")
    assert facts["gop"] == {"width": 64, "height": 64, "frames": 9, "latents": [16, 3, 8, 8]}
    assert facts["memory_gb"]["transformers"] == pytest.approx(2.84, rel=0.01)
    assert (facts["tflop"]["gop_decode"], facts["tflop"]["gop_encode"]) == (200, 290)


def test_the_command_line_says_it_in_words(cli):
    table = cli("backbones").out
    assert "mochi-1" in table
    closed = cli("backbones", "show", "gaussian")
    assert closed.status == 0
    assert "closed form, no weights" in closed.out
    unknown = cli("backbones", "show", "nonsense")
    assert unknown.status == 1
    assert "nonsense" in unknown.err
    wrong = cli("backbones", "show", "mochi-1", "--dtype", "bfloat8")
    assert (wrong.status, wrong.out) == (1, "")
    assert "bfloat16" in wrong.err
