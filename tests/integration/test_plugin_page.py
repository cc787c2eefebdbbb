"""The package of docs/plugins.md, installed as pip would leave it: each of its commands codes a clip that decodes."""

import os
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
COMMANDS = re.findall(r"^`(rfcodec encode .*)`$", PAGE.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The modules of the page, and the entry points that its pyproject.toml declares."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "my_package").mkdir()
    for kind, body in BLOCKS:
        if kind == "python":
            (folder / re.match(r"# (\S+)", body)[1]).write_text(body)
    (entries,) = (body for kind, body in BLOCKS if kind == "toml")
    info = folder / "my_package-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    lines = re.sub(r'project\.entry-points\."(.*?)"', r"\1", entries).replace('"', "").splitlines()[1:]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder


def test_each_plugin_of_the_page_has_a_command():
    assert len(COMMANDS) == len([kind for kind, _ in BLOCKS if kind == "python"]) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_a_plugin_codes_a_clip(command, site, process, clip_file, tmp_path):
    env = {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])}
    files = {"clip.mp4": clip_file, "clip.rfv": tmp_path / "clip.rfv"}
    words = [files.get(word, word) for word in shlex.split(command)[1:]]
    backbone = [] if "--backbone" in words else ["--backbone", "gaussian"]  # the quickest one that takes a frame
    encoded = process("-m", "rfcodec", *words, *backbone, "--steps", 4, env=env)
    assert encoded.status == 0, encoded.err
    decoded = process("-m", "rfcodec", "decode", files["clip.rfv"], tmp_path / "clip.mkv", env=env)
    assert decoded.status == 0, decoded.err
    assert re.search(r"the digest of (\d+) of \1 GOPs is the encoder's", decoded.err)
