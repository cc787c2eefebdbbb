"""What is wrong with a setting and what is legal, in our own words."""

import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rfcodec.support.words import nearest

KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", dict: "names and values"}
BOUNDS = (("ge", "from {}"), ("gt", "above {}"), ("le", "to {}"), ("lt", "below {}"))


def explain(model: type[BaseModel], error: ValidationError, prefix: str = "") -> str:
    """Each fault of a refused model: the setting, its value, and what is legal; names get the nearest legal one.

    `prefix` stands before the names, such as "backbone_options.".
    """
    return "; ".join(dict.fromkeys(prefix + _fault(model, item) for item in error.errors()))


def unknown(name: str, legal: Iterable[str]) -> str:
    """That there is no such setting, the one that may be meant, and all there are."""
    names = sorted(legal)
    return f"there is no setting {name!r}{nearest(name, names)}; there are: {', '.join(names)}"


def _fault(model: type[BaseModel], item: Any) -> str:
    path = [str(part) for part in item["loc"]]
    owner = _owner(model, path)
    reason = str(item.get("ctx", {}).get("error", "not legal"))
    if item["type"] == "extra_forbidden":
        return unknown(".".join(path), [".".join([*path[:-1], name]) for name in owner.model_fields])
    depth = next((i for i, part in enumerate(path) if part in owner.model_fields), None)
    if depth is None:
        return f"{'.'.join(path)} is {item['input']!r}: {reason}" if path else reason
    name, field = ".".join(path[: depth + 1]), owner.model_fields[path[depth]]
    if get_origin(field.annotation) is dict and len(path) > depth + 1:
        kinds = [_said(kind) for kind in _parts(get_args(field.annotation)[1])]
        return f"{name}.{path[depth + 1]} is {item['input']!r}; legal: {' or '.join(kinds)}"
    if item["type"] == "missing":
        return f"{name} is missing; legal: {legal_values(field)}"
    if item["type"] == "value_error":
        return f"{name} is {item['input']!r}: {reason}"
    return f"{name} is {item['input']!r}; legal: {legal_values(field)}"


def _owner(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    for part in path[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return model


def legal_values(field: FieldInfo) -> str:
    """The legal values of a field in words, such as "a whole number from 2 to 500"."""
    kinds = [kind for kind in _parts(field.annotation) if kind is not type(None)]
    words = [_said(kind) for kind in kinds]
    bounds = [said.format(_number(found)) for name, said in BOUNDS if (found := _bound(field, name)) is not None]
    return " ".join([" or ".join(dict.fromkeys(words)), *bounds])


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _said(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if get_origin(kind) in (tuple, list):
        return f"a list, each item {' or '.join(_said(item) for item in _parts(get_args(kind)[0]))}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"set its parts: {', '.join(kind.model_fields)}"
    return KINDS.get(get_origin(kind) or kind, getattr(kind, "__name__", str(kind)))


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _bound(field: FieldInfo, name: str) -> float | None:
    return next((getattr(item, name) for item in field.metadata if hasattr(item, name)), None)
