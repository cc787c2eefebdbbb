"""Plugins from outside: the examples of docs/backbones.md and docs/plugins.md, installed as packages of their own."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import tiny_models

PLUGINS = Path(__file__).parents[2] / "docs" / "plugins.md"
DOCS = PLUGINS.with_name("backbones.md")
PIPELINE = '''
from diffusers import WanPipeline


class ToyPipeline(WanPipeline):
    """A pipeline that rfcodec has never heard of."""
'''
SAVE = """
import sys
from rfcodec.backbones.diffusers.library import diffusers
from toy_package.pipeline import ToyPipeline
pipe = diffusers.WanPipeline.from_pretrained(sys.argv[1])
ToyPipeline(**pipe.components).save_pretrained(sys.argv[2])
"""


def example():
    """The blocks of the page that make up the package: code, and entry point."""
    text = DOCS.read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    (code,) = (body for kind, body in blocks if kind == "python" and "toy_package/__init__" in body)
    (entry,) = (body for kind, body in blocks if kind == "toml" and "entry-points" in body)
    return code, entry


def seeing(site):
    """The environment of a process that sees the package, whatever else the path has."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}


def install(site):
    """What pip would leave: the package, and its metadata with the entry point."""
    code, entry = example()
    (site / "toy_package").mkdir(parents=True)
    (site / "toy_package" / "__init__.py").write_text(code)
    (site / "toy_package" / "pipeline.py").write_text(PIPELINE)
    info = site / "toy_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1\n")
    group, line = re.search(r'entry-points\."(.*?)"\]\n(.*)', entry).groups()
    (info / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")


@pytest.fixture(scope="module")
def toy(process, tmp_path_factory):
    """The package, and a folder that its pipeline wrote."""
    folder = tmp_path_factory.mktemp("toy")
    install(folder / "site")
    wan = tiny_models.save("wan-t2v", folder / "wan")
    saved = process("-c", SAVE, wan, folder / "toy", env=seeing(folder / "site"))
    assert saved.status == 0, saved.err
    return folder


def test_the_example_is_at_most_twenty_lines():
    code, entry = example()
    assert len([line for line in (code + entry).splitlines() if line and not line.startswith("#")]) <= 20


def test_a_family_from_outside_codes_a_clip(toy, in_a_fresh_process, cli, clip_file, tmp_path):
    few = ["--set", "trajectory.steps=5", "--set", "trajectory.ode_tail=2", "--bytes", "450"]
    out = tmp_path / "toy.rfv"
    named = ["--backbone", toy / "toy"]
    calls = [["encode", clip_file, out, *named, *few], ["decode", out, tmp_path / "toy.mkv", *named]]
    done, decoded = in_a_fresh_process(calls, env=seeing(toy / "site"))
    assert done.status == 0, done.err
    assert 441 <= out.stat().st_size <= 450
    assert decoded.status == 0, decoded.err
    assert "the digest of 1 of 1 GOPs is the encoder's" in decoded.err
    unknown = cli("decode", out, tmp_path / "x.mkv", *named)  # this process never saw the package
    assert unknown.status == 1
    assert "ToyPipeline" in unknown.err


def test_a_family_may_come_with_the_folder(toy, process, clip_file, tmp_path):
    text = DOCS.read_text()
    (profile,) = (body for body in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "rfcodec.toml" in body)
    site, model = shutil.copytree(toy / "site", tmp_path / "site"), shutil.copytree(toy / "toy", tmp_path / "toy")
    (site / "toy_package-1.dist-info" / "entry_points.txt").unlink()
    (model / "rfcodec.toml").write_text(profile)
    few = ["--set", "trajectory.steps=4", "--set", "trajectory.ode_tail=2", "--bytes", "1500"]
    done = process("-m", "rfcodec", "encode", clip_file, tmp_path / "toy.rfv", "--backbone", model, *few, env=seeing(site))
    assert done.status == 0, done.err


# A backbone


PLAIN = """
from my_package.white import WhiteBackbone


def open_plain(runtime, options):
    return WhiteBackbone()
"""
FINDER = """
from my_package.white import WhiteBackbone, describe
from rfcodec.backbones.openers import offering
from rfcodec.errors import UnknownPlugin


@offering(describe=describe, fingerprint=lambda options: f"zoo 7 {sorted(options)}")
def open_found(runtime, options):
    return WhiteBackbone()


def find(request):
    if not str(request.what).startswith("zoo:"):
        raise UnknownPlugin("the zoo has zoo:large")
    if not request.trusted:
        print("not trusted")
    return open_found


@offering(find=find, catalogue=lambda: {"zoo:large": {"takes": ["none"], "licence": "CC0-1.0"}})
def open_zoo(runtime, options):
    raise UnknownPlugin("name one: zoo:large")
"""
POINTS = """
import sys
from pathlib import Path
from rfcodec.evaluation.datasets.clips import Clip
from rfcodec.evaluation.sweep.description import CodecCurve
from rfcodec.evaluation.sweep.jobs import Job
for name in sys.argv[1:]:
    curve = CodecCurve(backbone=name, set={"backbone_options.a": 1})
    print(Job(Clip("clip", Path("clip.mkv")), curve, 0.1, "honest", ()).asked["weights"])
"""


def snippet(name):
    """The block of docs/plugins.md that is a file of that name."""
    blocks = re.findall(r"```python\n(.*?)```", PLUGINS.read_text(), re.DOTALL)
    (code,) = (body for body in blocks if body.startswith(f"# my_package/{name}"))
    return code


@pytest.fixture(scope="module")
def white(tmp_path_factory):
    """The environment of a process that sees the white backbone of the page, and a plugin that finds others."""
    site = tmp_path_factory.mktemp("white")
    (site / "my_package").mkdir()
    (site / "my_package" / "__init__.py").touch()
    (site / "my_package" / "white.py").write_text(snippet("white.py"))
    (site / "my_package" / "plain.py").write_text(PLAIN)
    (site / "my_package" / "zoo.py").write_text(FINDER)
    (line,) = re.findall(r'\nwhite = "(.*?)"', PLUGINS.read_text())
    info = site / "my_package-3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 3\n")
    points = {"white": line, "plain": "my_package.plain:open_plain", "zoo": "my_package.zoo:open_zoo"}
    words = "\n".join(f"{name} = {value}" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[rfcodec.backbones]\n{words}\n")
    return seeing(site)


def test_a_backbone_from_outside_tells_of_itself(white, process):
    shown = process("-m", "rfcodec", "backbones", "show", "white", "--size", "64x48", "--frames", "9", env=white)
    assert shown.status == 0, shown.err
    for said in ("closed form, no weights", "CC0-1.0", "parameters", "no frame", "64x48, 9 frames: 3 x 9 x 48 x 64 latents"):
        assert said in shown.out
    facts = json.loads(process("-m", "rfcodec", "backbones", "show", "white", "--json", env=white).out)
    assert (facts["licence"], facts["parameters"], facts["takes"]) == ("CC0-1.0", 0, ["none"])
    assert facts["geometry"]["channels"] == 3


def test_of_one_that_tells_nothing_the_protocol_does(white, process):
    shown = process("-m", "rfcodec", "backbones", "show", "plain", "--json", env=white)
    assert shown.status == 0, shown.err
    facts = json.loads(shown.out)
    assert facts["kind"] == "plugin my-package 3"
    assert (facts["takes"], facts["geometry"]["channels"]) == (["none"], 3)


def test_a_plugin_from_outside_opens_names_that_nobody_registered(white, process, clip_file, tmp_path):
    listed = json.loads(process("-m", "rfcodec", "backbones", "--json", env=white).out)
    assert {"zoo:large", "mochi-1"} <= {row["name"] for row in listed["checkpoints"]}
    few = ["--set", "trajectory.steps=4", "--bpp", "0.5", "--gop", "5"]
    done = process("-m", "rfcodec", "encode", clip_file, tmp_path / "x.rfv", "--backbone", "zoo:large", *few, env=white)
    assert done.status == 0, done.err
    assert "not trusted" not in done.out
    wrong = process("-m", "rfcodec", "backbones", "show", "zo:large", env=white)
    assert wrong.status == 1
    for said in ("save_pretrained", "the zoo has zoo:large", "did you mean 'zoo:large'?"):
        assert said in wrong.err


def test_a_stream_that_names_a_backbone_is_not_trusted(white, process):
    code = (
        "from rfcodec.coding.header import open_backbone; from rfcodec.config import RuntimeConfig;"
        "open_backbone('zoo:large', '', RuntimeConfig(), trusted=False);"
        "open_backbone('zoo:other', '', RuntimeConfig(weights='zoo:large'), trusted=False)"
    )
    done = process("-c", code, env=white)
    assert (done.status, done.out.split("\n")) == (0, ["not trusted", ""]), done.err


def test_a_point_of_a_sweep_knows_models_from_outside(white, process):
    told = process("-c", POINTS, "white", "zoo:large", "gaussian", "tiny", env=white)
    assert told.status == 0, told.err
    weights = told.out.split("\n")
    assert weights[:2] == ["my-package 3", "zoo 7 ['a']"]
    assert len(weights[2]) == 16
    assert len(weights[3]) == 16


def test_the_snippet_codes_a_clip(white, process, clip_file, tmp_path):
    few = ["--set", "trajectory.steps=4", "--bpp", "0.5", "--gop", "5"]
    done = process("-m", "rfcodec", "encode", clip_file, tmp_path / "x.rfv", "--backbone", "white", *few, env=white)
    assert done.status == 0, done.err
    decoded = process("-m", "rfcodec", "decode", tmp_path / "x.rfv", tmp_path / "x.mkv", env=white)
    assert "the digest of 3 of 3 GOPs is the encoder's" in decoded.err
