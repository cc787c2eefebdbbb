"""Text embeddings: computed once, kept on disk, made anew where they would be another encoder's."""

from pathlib import Path

import PIL.Image
import pytest
import torch

from rfcodec.backbones.diffusers.prompts import PromptMemo, no_encoder
from rfcodec.errors import MissingWeights
from rfcodec.support.cache import cache_folder


class Pipe:
    """As much of a pipeline as has to do with text."""

    _execution_device = torch.device("cpu")

    def encode_prompt(self, prompt, negative_prompt=None, image=None, prompt_embeds=None, device=None):
        raise AssertionError("the true encoder is asked through the memo alone")


class OtherPipe(Pipe):
    pass


class Encoder:
    """Counts what it is asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, kind):
        def encode(prompt, negative_prompt=None, image=None, prompt_embeds=None, device=None):
            self.asked.append((kind.__name__, prompt))
            return torch.full((1, 4), float(len(prompt)), dtype=torch.bfloat16), None

        return encode


def memo(encoder, folder, model="m", text="t", pipe=None):
    return PromptMemo(encoder, model, text, folder).standing_in(pipe or Pipe())


def test_a_text_is_embedded_once(tmp_path):
    encoder = Encoder()
    encode = memo(encoder, tmp_path)
    one, two = encode("a ship"), encode(prompt="a ship", device="cpu")
    assert torch.equal(one[0], two[0])
    assert one[0].dtype == torch.bfloat16
    assert one[1] is None
    assert len(encoder.asked) == 1
    again = memo(encoder, tmp_path)("a ship")
    assert torch.equal(again[0], one[0])
    assert again[1] is None
    assert len(encoder.asked) == 1


@pytest.mark.parametrize(
    "change",
    [{"model": "n"}, {"text": "u"}, {"pipe": OtherPipe()}],
    ids=["another model", "another text encoder", "another recipe"],
)
def test_what_would_be_anothers_is_made_anew(change, tmp_path):
    encoder = Encoder()
    memo(encoder, tmp_path)("a ship")
    memo(encoder, tmp_path, **change)("a ship")
    assert len(encoder.asked) == 2


def test_without_a_text_encoder_what_is_kept_is_taken(tmp_path):
    kept = memo(Encoder(), tmp_path)("a ship")
    nobody = memo(no_encoder("folder"), tmp_path, text="")
    assert torch.equal(nobody("a ship")[0], kept[0])
    with pytest.raises(MissingWeights, match="folder has no text encoder"):
        nobody("another")


def test_negative_texts_and_pictures_count(tmp_path):
    encoder = Encoder()
    encode = memo(encoder, tmp_path)
    pictures = [PIL.Image.new("RGB", (4, 4), level) for level in (0, 9)]
    for options in ({}, {"negative_prompt": "x"}, {"image": pictures[0]}, {"image": pictures[1]}, {"image": pictures[0]}):
        encode("a ship", **options)
    assert len(encoder.asked) == 4
    assert len(list(tmp_path.iterdir())) == 2  # no file for each picture


def test_a_damaged_file_is_made_anew_and_a_full_disk_is_no_error(tmp_path):
    encoder = Encoder()
    memo(encoder, tmp_path)("a ship")
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-3])
    memo(encoder, tmp_path)("a ship")
    assert len(encoder.asked) == 2
    memo(encoder, tmp_path)("a ship")
    assert len(encoder.asked) == 2
    memo(encoder, Path("/dev/null/nowhere"))("a ship")
    assert len(encoder.asked) == 3


def test_the_folder_is_the_users_to_choose(monkeypatch, tmp_path):
    monkeypatch.setenv("RFCODEC_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("RFCODEC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "rfcodec"
