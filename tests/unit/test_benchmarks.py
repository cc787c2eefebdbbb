"""The scripts in benchmarks/: what they import, and that they run as files and as modules."""

import ast
import re
from pathlib import Path

import pytest

import rfcodec
from rfcodec import research

ROOT = Path(rfcodec.__file__).parents[1]
SCRIPTS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.name != "__init__.py")
NAMES = [path.stem for path in SCRIPTS]
PUBLIC = re.compile(r"rfcodec|rfcodec\.(evaluation|metrics|video|support|research)(\..+)?")
HELP = """
import contextlib, io, runpy, sys
way, *scripts = sys.argv[1:]
for script in scripts:
    sys.argv, said = [script, "--help"], io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            run = runpy.run_path if way == "file" else runpy.run_module
            run(script, run_name="__main__")
        except SystemExit as done:
            assert not done.code, f"{script}: {done.code}"
    assert "--help" in said.getvalue(), f"{script}: {said.getvalue()}"
"""


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module


@pytest.mark.parametrize("path", SCRIPTS, ids=NAMES)
def test_scripts_import_what_is_public(path):
    ours = [name for name in imports(path) if name.partition(".")[0] == "rfcodec"]
    assert [name for name in ours if not PUBLIC.fullmatch(name)] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=NAMES)
def test_scripts_import_nothing_that_is_not_installed(path):
    """Neither each other nor the folder above: one of them is missing from the path of a file, the other of a module."""
    assert not {name.partition(".")[0] for name in imports(path)} & {"benchmarks", "tests", *NAMES}


@pytest.mark.parametrize("path", SCRIPTS, ids=NAMES)
def test_scripts_edit_no_path_and_patch_no_class(path):
    assert not re.search(r"sys\.path|unittest\.mock|setattr\(", path.read_text())
    assert len(path.read_text().splitlines()) < 400


@pytest.mark.parametrize("way", ["file", "module"])
def test_every_script_says_how_it_is_used(process, way):
    scripts, more = (SCRIPTS, {}) if way == "file" else ([f"benchmarks.{name}" for name in NAMES], {"cwd": ROOT})
    outcome = process("-c", HELP, way, *scripts, **more)
    assert outcome.status == 0, outcome.err


def test_research_says_what_it_has():
    assert set(research.__all__) <= set(vars(research))
    silent = [name for name in research.__all__ if f"`{name}" not in research.__doc__]
    assert silent == []
