"""Types and shapes of array code, checked while tests run, and free in production."""

from functools import partial
from inspect import isclass, isfunction
from typing import ForwardRef, get_args

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
check_shapes = jaxtyping.jaxtyped


def install(modules):
    """Checks the functions and dataclasses that those modules define from now on."""
    jaxtyping.jaxtyped = lambda typechecker: partial(checked, typechecker=typechecker)
    jaxtyping.install_import_hook(modules, "shape_checks.check")


def checked(defined, typechecker):
    # a call whose axes have names costs ten times as much as one of plain types, and innermost loops have none
    if isfunction(defined) and not any(map(may_have_axes, defined.__annotations__.values())):
        return typechecker(defined)
    return check_shapes(defined, typechecker=typechecker)


def may_have_axes(annotation):
    """Whether there is an array of jaxtyping in it, or a name that is no type yet."""
    if isinstance(annotation, str | ForwardRef):
        return True
    if isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(map(may_have_axes, get_args(annotation)))
