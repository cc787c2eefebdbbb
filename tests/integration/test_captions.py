"""A captioner writes the prompt: tiny models of transformers, built here with random weights, are opened from folders."""

import json

import numpy as np
import pytest
import tiny_models  # repairs torchvision, so it stands before transformers
import torch
import transformers

from rfcodec import api, errors, registry
from rfcodec.video.reader import ArrayVideo

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(25))]
MEDIA = ["<image>", "<video>"]
SIDE = {"height": 16, "width": 16}
TINY = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
LOUD = TINY | {"initializer_range": 1.0}  # so that words depend on pictures
VISION = TINY | {"image_size": 16, "patch_size": 8}
ENDS = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
TEMPLATE = (
    "{% for message in messages %}{% for part in message.content %}"
    "{{ part.text if part.type == 'text' else '<image> ' if part.type == 'image' else '<video> ' }}"
    "{% endfor %}{% endfor %}"
)
FAST = ["--set", "trajectory.steps=4", "--set", "trajectory.ode_tail=2", "--bytes", 20000]


def tokenizer(*media):
    made = transformers.BertTokenizer(
        vocab={word: place for place, word in enumerate(WORDS)}, model_input_names=["input_ids", "attention_mask"]
    )
    made.add_tokens(list(media), special_tokens=True)
    return made


def blip():
    # the first token lies outside the tokenizer's vocabulary, as in the real one
    ends = {"bos_token_id": len(WORDS), "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0}
    text = LOUD | ends | {"vocab_size": len(WORDS) + 2, "encoder_hidden_size": 16}
    config = transformers.BlipConfig(text_config=text, vision_config=VISION | {"initializer_range": 1.0}, projection_dim=8)
    pictures = transformers.BlipImageProcessor(size=SIDE)
    return transformers.BlipForConditionalGeneration(config), transformers.BlipProcessor(pictures, tokenizer())


def _chat_config(kind, vision, text, **more):
    vision = VISION | {"model_type": vision}
    text = LOUD | ENDS | {"model_type": text, "vocab_size": len(WORDS) + 2, "num_key_value_heads": 2}
    return kind(vision_config=vision, text_config=text, vision_feature_layer=-1, **more)


def llava():
    """Chat about pictures."""
    config = _chat_config(transformers.LlavaConfig, "clip_vision_model", "llama", image_token_index=len(WORDS))
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=SIDE)
    strategy = {"vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    talk = transformers.LlavaProcessor(pictures, tokenizer(*MEDIA), patch_size=8, chat_template=TEMPLATE, **strategy)
    return transformers.LlavaForConditionalGeneration(config), talk


def onevision():
    """Chat about pictures and videos."""
    tokens = {"image_token_index": len(WORDS), "video_token_index": len(WORDS) + 1, "image_grid_pinpoints": [[16, 16]]}
    config = _chat_config(transformers.LlavaOnevisionConfig, "siglip_vision_model", "qwen2", **tokens)
    pictures = transformers.LlavaOnevisionImageProcessor(size=SIDE, image_grid_pinpoints=[[16, 16]])
    videos = transformers.LlavaOnevisionVideoProcessor(size=SIDE)
    strategy = {"num_image_tokens": 4, "vision_feature_select_strategy": "full"}
    talk = transformers.LlavaOnevisionProcessor(pictures, tokenizer(*MEDIA), videos, chat_template=TEMPLATE, **strategy)
    return transformers.LlavaOnevisionForConditionalGeneration(config), talk


def save_captioner(build, folder, change=lambda model: None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, processor = build()
    change(model)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    """The folder of a tiny BLIP."""
    return save_captioner(blip, tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """The folder of a tiny pipeline that reads text."""
    return tiny_models.save("wan-t2v", tmp_path_factory.mktemp("wan"))


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)


def error_of(outcome):
    assert outcome.status == 1, outcome.err
    assert "Traceback" not in outcome.err
    return " ".join(outcome.err.split())


def test_a_caption_is_sent_as_the_prompt(cli, clip_file, captioner, backbone, tmp_path):
    told = cli("encode", clip_file, tmp_path / "a.rfv", "--backbone", backbone, "--caption", captioner, *FAST)
    assert told.status == 0, told.err
    text = api.caption(clip_file, str(captioner))
    assert f"caption: {text}\n" in told.err
    assert json.loads(cli("info", tmp_path / "a.rfv", "--json").out)["header"]["prompt"] == text
    silent = cli("encode", clip_file, tmp_path / "b.rfv", "--backbone", backbone, "--prompt", text, *FAST, "--json")
    assert silent.status == 0, silent.err
    assert (tmp_path / "a.rfv").read_bytes() == (tmp_path / "b.rfv").read_bytes()


def test_json_is_not_disturbed(cli, clip_file, captioner, backbone, tmp_path):
    told = cli("encode", clip_file, tmp_path / "a.rfv", "--backbone", backbone, "--caption", captioner, *FAST, "--json")
    assert told.status == 0, told.err
    assert json.loads(told.out)["bytes"] == (tmp_path / "a.rfv").stat().st_size


def test_a_backbone_that_knows_no_text_says_so(cli, clip_file, captioner, tmp_path):
    assert "knows no text" in error_of(
        cli("encode", clip_file, tmp_path / "a.rfv", "--caption", captioner, "--backbone", "gaussian", *FAST)
    )
    assert not list(tmp_path.iterdir())


def test_words_are_the_same_in_a_fresh_process(process, clip_file, captioner):
    code = "import sys, rfcodec; print(rfcodec.caption(*sys.argv[1:]))"
    told = process("-c", code, clip_file, captioner, env={"HF_HUB_OFFLINE": "1"})
    assert told.out.strip() == api.caption(clip_file, str(captioner)), told.err
    assert told.err == ""


def test_a_plain_model_sees_the_middle_frame(captioner):
    words = {api.caption(noise(5, seed), str(captioner), frames=5) for seed in range(3)}
    assert len(words) > 1
    frames = noise(5)
    assert api.caption(frames, str(captioner), frames=5) == api.caption(frames[2:3], str(captioner))


@pytest.mark.parametrize("build", [llava, onevision])
def test_a_chat_model_is_asked(build, tmp_path):
    folder = save_captioner(build, tmp_path)
    text = api.caption(noise(9), str(folder))
    assert text == api.caption(noise(9), str(folder))
    assert text == " ".join(text.split()) != ""
    assert "Describe" not in text


@pytest.mark.parametrize(("count", "frames", "places"), [(100, 4, [12, 37, 62, 87]), (3, 8, [0, 1, 2]), (7, 1, [3])])
def test_few_frames_are_read_one_by_one(count, frames, places, monkeypatch):
    seen = []

    class Watched:
        format = ArrayVideo(noise(count)).format

        def read(self, start, stop):
            seen.append((start, stop))
            return np.full((1, 48, 64, 3), start, np.uint8)

    class Recorder:
        def __init__(self, model, device):
            assert (model, device) == ("some/model", "cpu")

        def caption(self, frames):
            return f"{len(frames)} frames"

    monkeypatch.setattr(registry, "load", lambda kind, name: {("captioners", "transformers"): Recorder}[kind, name])
    assert api.caption(Watched(), "some/model", frames) == f"{len(places)} frames"
    assert seen == [(place, place + 1) for place in places]


def test_no_frames_are_refused():
    with pytest.raises(errors.ConfigError, match="0 frames"):
        api.caption(noise(2), frames=0)


def test_a_model_without_words_is_an_error(tmp_path):
    def end_at_once(model):
        model.text_decoder.cls.predictions.bias.data[3] = 1e6

    folder = save_captioner(blip, tmp_path, end_at_once)
    with pytest.raises(errors.InputError, match="finds no words"):
        api.caption(noise(2), str(folder))


def test_caption_and_prompt_exclude_each_other(cli, clip_file, tmp_path):
    for prompt in (["--prompt", "a ship"], ["--set", "prompt=a ship"]):
        outcome = cli("encode", clip_file, tmp_path / "a.rfv", "--caption", "auto", *prompt, "--bytes", 3000)
        assert "--caption" in error_of(outcome)


def test_a_model_that_is_not_here_says_how_to_fetch_it(process, clip_file, tmp_path):
    away = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    outcome = process(
        "-m", "rfcodec", "encode", clip_file, tmp_path / "a.rfv", "--caption", "auto", "--bytes", 3000, env=away
    )
    told = error_of(outcome)
    assert "hf download Salesforce/blip-image-captioning-base" in told
    assert "folder" in told
    assert "--prompt" in told


def test_folders_that_hold_no_captioner_are_errors(tmp_path):
    with pytest.raises(errors.MissingWeights, match="is not on this machine"):
        api.caption(noise(2), str(tmp_path / "none"))
    with pytest.raises(errors.ConfigError, match="cannot be opened as a captioner"):
        api.caption(noise(2), str(tmp_path))
    (save_captioner(blip, tmp_path) / "model.safetensors").unlink()
    with pytest.raises(errors.MissingWeights, match="cannot be read"):
        api.caption(noise(2), str(tmp_path))


def test_a_model_for_something_else_is_an_error(tmp_path):
    transformers.BertModel(transformers.BertConfig(**TINY, vocab_size=len(WORDS))).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(errors.ConfigError, match="cannot be opened as a captioner"):
        api.caption(noise(2), str(tmp_path))


def test_nothing_is_imported_for_it_before_it_is_asked_for(process, clip_file, tmp_path):
    code = (
        "import sys\nfrom rfcodec import registry\nfrom rfcodec.cli.app import app\nregistry.loadable('captioners')\n"
        "app(sys.argv[1:], standalone_mode=False)\nprint('transformers' in sys.modules)"
    )
    outcome = process("-c", code, "encode", clip_file, tmp_path / "a.rfv", "--backbone", "gaussian", *FAST, "--json")
    assert outcome.out.splitlines()[-1] == "False", outcome.err
