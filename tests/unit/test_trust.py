"""What a stream can make a decoder load: what is known by name, and nothing else."""

import json
import shutil
import socket

import pytest
import tiny_models

from rfcodec.backbones.diffusers.identity import folder_settings, settings_of
from rfcodec.backbones.diffusers.sources import Source
from rfcodec.coding.header import open_backbone
from rfcodec.config import RuntimeConfig
from rfcodec.errors import BackboneError, BackboneMismatch, ConfigError, MissingWeights, UnknownPlugin


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.save("wan-t2v", tmp_path_factory.mktemp("model"))


@pytest.fixture
def sealed(monkeypatch):
    """No pipeline is loaded, no address is asked; the attempts."""
    from rfcodec.backbones.diffusers import loading

    attempts = []

    def refuse(*words, **_):
        attempts.append(words)
        raise AssertionError(words)

    monkeypatch.setattr(loading, "_load", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield attempts
    assert attempts == []


@pytest.mark.parametrize("name", ["{folder}", "model", "someone/model", "someone/model@main"])
def test_a_folder_or_hub_id_of_a_stream_is_not_opened(name, folder, sealed, monkeypatch):
    monkeypatch.chdir(folder.parent)
    shutil.copytree(folder, folder.parent / "model", dirs_exist_ok=True)
    with pytest.raises(UnknownPlugin, match="--backbone"):
        open_backbone(name.format(folder=folder), "", RuntimeConfig(fetch=True), trusted=False)


@pytest.mark.parametrize(
    "options",
    [
        "gguf=https://example.org/x.gguf\nquantization=gguf",
        "gguf=/etc/passwd\nquantization=gguf",
        "compile=1",
        "attention_backend=flash_hub",
        "pipeline=StableDiffusionPipeline",
    ],
)
@pytest.mark.parametrize("name", ["wan2.1-t2v-1.3b", "{folder}"])
def test_options_of_a_stream_open_fetch_and_build_nothing(name, options, folder, sealed):
    runtime = RuntimeConfig(weights=folder if name == "{folder}" else None)
    with pytest.raises(ConfigError, match="--override"):
        open_backbone(name, options, runtime, trusted=False)


def test_what_the_user_repeats_is_his_own_word(folder, sealed):
    where = RuntimeConfig(weights=folder, overrides={"gguf": "/no/such/file"})
    with pytest.raises(BackboneError, match="/no/such/file"):
        open_backbone("x", "gguf=other\nquantization=gguf", where, trusted=False)


def test_nothing_is_fetched_unless_the_user_says_so(sealed, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for trusted in (True, False):
        with pytest.raises(MissingWeights, match=r"--fetch.*hf download Wan-AI"):
            open_backbone("wan2.1-t2v-1.3b", "", RuntimeConfig(), trusted=trusted)


def test_fetching_is_asked_of_the_hub_where_the_user_says_so(monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **words: asked.append(words["local_files_only"]))
    for fetch in (False, True):
        with pytest.raises(TypeError):  # no folder came back
            open_backbone("wan2.1-t2v-1.3b", "", RuntimeConfig(fetch=fetch), trusted=False)
    assert asked == [True, False]


def test_other_weights_are_refused_before_they_are_loaded(folder, sealed):
    with pytest.raises(BackboneMismatch, match="6f74686572212121"):
        open_backbone("x", "", RuntimeConfig(weights=folder), trusted=False, weights=b"other!!!")


def test_pickled_weights_are_never_loaded(tmp_path):
    model = tiny_models.save("wan-t2v", tmp_path / "model")
    weights = model / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(MissingWeights, match="safe_serialization"):
        open_backbone(str(model), "", RuntimeConfig())


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"_class_name": "WanPipeline", "../x": ["diffusers", "WanTransformer3DModel"]}, "no component"),
        ({"_class_name": "WanPipeline", "vae": ["diffusers"]}, "no component"),
        ({"_class_name": "../x"}, "pipeline class"),
    ],
)
def test_an_index_names_components_and_no_paths(index, said, tmp_path, sealed):
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(MissingWeights, match=said):
        open_backbone(str(tmp_path), "", RuntimeConfig())


@pytest.mark.parametrize("head", [b"\xff" * 8, (200).to_bytes(8, "little"), (2).to_bytes(8, "little") + b"{}"[:1]])
def test_a_header_of_weights_is_bounded_by_its_file(head, folder, tmp_path, sealed):
    model = tmp_path / "model"
    shutil.copytree(folder, model)
    (model / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(head + bytes(8))
    with pytest.raises(BackboneError):
        open_backbone(str(model), "", RuntimeConfig())


@pytest.mark.parametrize("name", ["wan-t2v", "wan22-ti2v", "wan22-t2v", "ltx-t2v", "mochi-t2v", "hunyuan-t2v"])
def test_the_settings_of_a_folder_are_those_of_its_pipeline(name, tmp_path):
    pipe = tiny_models.build(name)
    pipe.save_pretrained(tmp_path)
    told = sorted(folder_settings(tmp_path, Source(str(tmp_path)).index(tmp_path), type(pipe)))
    assert told == sorted(settings_of(pipe))
    assert told
