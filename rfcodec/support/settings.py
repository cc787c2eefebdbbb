"""What is wrong with a setting and what is legal, in our own words."""

import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rfcodec.support.words import nearest

KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", dict: "names and values"}
BOUNDS = (("ge", "from {}"), ("gt", "above {}"), ("le", "to {}"), ("lt", "below {}"))


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """Each fault of a refused model: the setting, its value, and what is legal; names get the nearest legal one."""
    return "; ".join(dict.fromkeys(_fault(model, item) for item in error.errors()))


def unknown(name: str, legal: Iterable[str]) -> str:
    """That there is no such setting, the one that may be meant, and all there are."""
    names = sorted(legal)
    return f"there is no setting {name!r}{nearest(name, names)}; there are: {', '.join(names)}"


def _fault(model: type[BaseModel], item: Any) -> str:
    path = [str(part) for part in item["loc"]]
    owner: type[BaseModel] = model
    for part in path[:-1]:
        inner = owner.model_fields[part].annotation if part in owner.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        owner = inner
    if item["type"] == "extra_forbidden":
        return unknown(".".join(path), [".".join([*path[:-1], name]) for name in owner.model_fields])
    field = next((owner.model_fields[part] for part in path if part in owner.model_fields), None)
    if field is None:
        return f"{'.'.join(path)} is {item['input']!r}: {item.get('ctx', {}).get('error', 'not legal')}"
    name = ".".join(path[: 1 + max(i for i, part in enumerate(path) if part in owner.model_fields)])
    return f"{name} is {item['input']!r}; legal: {legal_values(field)}"


def legal_values(field: FieldInfo) -> str:
    """The legal values of a field in words, such as "a whole number from 2 to 500"."""
    kinds = [kind for kind in _parts(field.annotation) if kind is not type(None)]
    words = [_said(kind) for kind in kinds]
    bounds = [said.format(f"{found:g}") for name, said in BOUNDS if (found := _bound(field, name)) is not None]
    return " ".join([" or ".join(dict.fromkeys(words)), *bounds])


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _said(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    return KINDS.get(get_origin(kind) or kind, getattr(kind, "__name__", str(kind)))


def _bound(field: FieldInfo, name: str) -> float | None:
    return next((getattr(item, name) for item in field.metadata if hasattr(item, name)), None)
