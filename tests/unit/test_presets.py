"""Presets as data: what each sets, what a budget adds, and that the user's own settings win."""

import ast
from pathlib import Path

import pytest

from rfcodec import presets
from rfcodec.errors import UnknownPlugin
from rfcodec.presets import PRESETS, Preset, configure

BUDGETS = [{"bpp": 0.05}, {"kbps": 100.0}, {"bytes": 5000}]


def atoms(**settings):
    return configure("gvcc", {name.replace("__", "."): value for name, value in settings.items()})[0].codebook.parameters


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_legal_with_and_without_a_budget(name):
    for settings in ({}, *BUDGETS):
        configure(name, settings)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_pays_for_atoms(budget):
    assert atoms() == {"k": 16384, "m": 64}
    assert atoms(**budget) == {"k": 16384, "m": 0}
    assert atoms(**budget, codebook__m=8) == {"k": 16384, "m": 8}
    assert atoms(**budget, codebook__k=64) == {"k": 64, "m": 0}
    assert atoms(**budget, codebook__name="trellis") == {}


def test_no_budget_is_none():
    assert atoms(bpp=None)["m"] == 64


def test_what_is_made_of_a_preset_does_not_change_it():
    configure("gvcc", {"codebook.k": 64, "trajectory.steps": 5})
    assert configure("gvcc")[0].trajectory.steps == 20
    assert atoms()["k"] == 16384


def test_a_preset_of_ones_own_says_what_a_budget_adds(monkeypatch):
    monkeypatch.setitem(PRESETS, "mine", Preset({"codebook.name": "topm", "codebook.m": 9}, with_budget={"codebook.m": 0}))
    assert configure("mine")[0].codebook.parameters == {"m": 9}
    assert configure("mine", {"bpp": 0.1})[0].codebook.parameters == {"m": 0}


def test_no_condition_names_a_plugin():
    tree = ast.parse(Path(presets.__file__).read_text())
    compared = [part for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in ast.walk(node)]
    words = {node.value for node in compared if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert words <= {"codebook", "name", "codebook.name"}


def test_a_wrong_preset_meets_the_one_that_was_meant():
    with pytest.raises(UnknownPlugin, match=r"did you mean 'gvcc'\?\); there are: default, fast, gvcc"):
        configure("gvc")
