"""A family from outside: the example of docs/backbones.md, installed as a package of its own, on the command line."""

import os
import re
import shutil
from pathlib import Path

import pytest
import tiny_models

DOCS = Path(__file__).parents[2] / "docs" / "backbones.md"
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
    """The environment of a process that sees the package, whatever else stands on the path."""
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


def test_a_family_from_outside_codes_a_clip(toy, process, cli, clip_file, tmp_path):
    env = seeing(toy / "site")
    few = ["--set", "trajectory.steps=5", "--set", "trajectory.ode_tail=2", "--bytes", "450"]
    out = tmp_path / "toy.rfv"
    done = process("-m", "rfcodec", "encode", clip_file, out, "--backbone", toy / "toy", *few, env=env)
    assert done.status == 0, done.err
    assert 441 <= out.stat().st_size <= 450
    decoded = process("-m", "rfcodec", "decode", out, tmp_path / "toy.mkv", env=env)
    assert decoded.status == 0, decoded.err
    assert "the digest of 1 of 1 GOPs is the encoder's" in decoded.err
    unknown = cli("decode", out, tmp_path / "x.mkv")  # this process never saw the package
    assert unknown.status == 1
    assert "ToyPipeline" in unknown.err


def test_a_family_may_come_with_the_folder(toy, process, clip_file, tmp_path):
    text = DOCS.read_text()
    (profile,) = (body for body in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "rfcodec.toml" in body)
    site, model = shutil.copytree(toy / "site", tmp_path / "site"), shutil.copytree(toy / "toy", tmp_path / "toy")
    (site / "toy_package-1.dist-info" / "entry_points.txt").unlink()
    env = seeing(site)
    (model / "rfcodec.toml").write_text(profile)
    few = ["--set", "trajectory.steps=4", "--set", "trajectory.ode_tail=2", "--bytes", "1500"]
    done = process("-m", "rfcodec", "encode", clip_file, tmp_path / "toy.rfv", "--backbone", model, *few, env=env)
    assert done.status == 0, done.err
