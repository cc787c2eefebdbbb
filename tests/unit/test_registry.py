"""Plugins that are known for a while."""

from typing import ClassVar

import pytest

from codebooks.topm import TopMCodebook
from rfcodec import registry
from rfcodec.errors import ConfigError, UnknownPlugin
from rfcodec.registry import registered


class Mine:
    """A plugin of this module."""

    ID: ClassVar[int] = 125


class Clash:
    """A plugin whose id is taken."""

    ID: ClassVar[int] = TopMCodebook.ID


def test_a_registered_plugin_is_found_by_name_and_id_and_then_forgotten():
    before = dict(registry.names("codebooks"))
    with registered("codebooks", "mine", Mine):
        assert registry.load("codebooks", "mine") is Mine
        assert registry.by_id("codebooks", Mine.ID) is Mine
        assert registry.name_of("codebooks", Mine.ID) == "mine"
    assert registry.names("codebooks") == before
    with pytest.raises(UnknownPlugin):
        registry.load("codebooks", "mine")


def test_it_is_forgotten_after_an_error_too():
    with pytest.raises(ZeroDivisionError), registered("codebooks", "mine", Mine):
        raise ZeroDivisionError
    assert "mine" not in registry.names("codebooks")


@pytest.mark.parametrize(("name", "plugin"), [("topm", Mine), ("mine", Clash)])
def test_names_and_ids_are_not_taken_over(name, plugin):
    with pytest.raises(ConfigError, match="100 to 127 are free"), registered("codebooks", name, plugin):
        pass
    assert registry.load("codebooks", "topm") is TopMCodebook
