"""What opens a backbone: a function alone, or one that offers more; who is asked for a name that nobody registered."""

import pytest
import tiny_models

from rfcodec import registry
from rfcodec.backbones import openers
from rfcodec.backbones.openers import BackboneRequest, Described, Finder, Fingerprinted, find_opener, fingerprint, offering
from rfcodec.coding.header import open_backbone
from rfcodec.config import RuntimeConfig
from rfcodec.errors import ConfigError, UnknownPlugin

SIZE = (9, 64, 48)


def plain(runtime, options):
    """A backbone of no model at all."""
    return options["word"]


def test_a_function_alone_offers_nothing():
    assert not isinstance(plain, Described | Fingerprinted | Finder)


def test_what_is_offered_is_there_and_nothing_else():
    opener = offering(describe=lambda options, size: {"size": size}, fingerprint=lambda options: "7")(plain)
    assert isinstance(opener, Described)
    assert isinstance(opener, Fingerprinted)
    assert not isinstance(opener, Finder)
    assert (opener.describe({}, SIZE), opener.fingerprint({})) == ({"size": SIZE}, "7")
    assert (opener.__doc__, opener.__name__) == (plain.__doc__, "plain")


def test_an_offer_that_nobody_asks_for_is_named():
    with pytest.raises(UnknownPlugin, match=r"'fingerprints'; .*did you mean 'fingerprint'"):
        offering(fingerprints=lambda options: "7")


@pytest.mark.parametrize("name", ["gaussian", "gaussian-latent", "tiny", "tiny-fast"])
def test_our_own_tell_what_they_are_when_opened(name):
    opener = find_opener(BackboneRequest(name))
    backbone = opener(RuntimeConfig(), {})
    facts = opener.describe({}, SIZE)
    assert (facts["takes"], facts["geometry"]) == (list(backbone.takes), backbone.geometry)
    assert facts["licence"]
    assert opener.fingerprint({}) == fingerprint(name, {}) != ""
    with pytest.raises(ConfigError, match="colour"):
        opener.describe({"colour": "red"}, SIZE)


class Claims:
    """Finds every name that begins with a mark, and remembers what it was asked."""

    def __init__(self, mark):
        self.mark, self.asked = mark, []

    def __call__(self, runtime, options):
        raise UnknownPlugin("name one")

    def find(self, request):
        self.asked.append(request)
        if not str(request.what).startswith(self.mark):
            raise UnknownPlugin(f"{self.mark} finds nothing")
        return lambda runtime, options: (self.mark, options)


@pytest.fixture
def claims(monkeypatch):
    found = {"b": Claims("x:"), "a": Claims("x:y"), "c": plain}
    monkeypatch.setattr(registry, "loadable", lambda kind: found)
    return found


def test_plugins_are_asked_in_the_order_of_their_names(claims):
    assert find_opener(BackboneRequest("x:y"))(None, {}) == ("x:y", {})
    assert find_opener(BackboneRequest("x:z"))(None, {}) == ("x:", {})
    with pytest.raises(UnknownPlugin, match="x:y finds nothing; x: finds nothing"):
        find_opener(BackboneRequest("z"))


@pytest.mark.parametrize(
    ("runtime", "trusted", "expected"),
    [
        (RuntimeConfig(), True, ("x:z", True)),
        (RuntimeConfig(), False, ("x:z", False)),
        (RuntimeConfig(weights="x:w"), False, ("x:w", True)),
    ],
)
def test_what_a_stream_names_is_not_trusted_and_what_the_user_names_is(claims, runtime, trusted, expected):
    assert open_backbone("x:z", "k=v", runtime, trusted=trusted) == ("x:", {"k": "v"})
    (request,) = claims["b"].asked
    assert (request.what, request.trusted) == expected


def test_a_name_that_nobody_knows_has_no_fingerprint(claims):
    assert fingerprint("z", {}) == ""


def test_one_that_says_nothing_is_known_by_its_package(monkeypatch):
    monkeypatch.setattr(registry, "load", lambda kind, name: plain)
    said = fingerprint("gaussian", {})
    assert said.startswith("rfcodec ")
    assert said == openers.package(registry.names("backbones")["gaussian"])


def test_a_thing_that_is_no_backbone_is_named():
    with pytest.raises(ConfigError, match="not int"):
        open_backbone("gaussian", "", RuntimeConfig(weights=3))


def test_a_model_folder_is_known_by_what_lies_in_it(tmp_path):
    folder = tiny_models.save("wan-t2v", tmp_path / "model")
    known = fingerprint(str(folder), {})
    assert len(known) == 16
    (folder / "model_index.json").write_text((folder / "model_index.json").read_text() + "\n")
    changed = fingerprint(str(folder), {})
    assert changed != known
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-64:] = bytes(64)
    weights.write_bytes(data)
    assert fingerprint(str(folder), {}) not in (known, changed)


def test_a_model_of_the_hub_is_known_by_its_id():
    assert fingerprint("wan2.1-t2v-1.3b", {}) == "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
    assert fingerprint("nobody/nothing", {}) == ""
