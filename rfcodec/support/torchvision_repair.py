"""Lets a torchvision whose compiled part does not fit this torch be imported.

pip pairs a CPU build of torch with a CUDA build of torchvision, whose operators then do not load: `import torchvision`
fails, and with it the parts of diffusers, transformers and lpips that touch it, though none of them needs an operator.
"""

import importlib
import importlib.util
import logging
import sys

# Both operators that torchvision registers shape functions for while it is being imported.
_MISSING = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_libraries: list[object] = []


def repair_torchvision() -> None:
    """Makes `import torchvision` work, to be called before diffusers, transformers or lpips are imported.

    Changes nothing where torchvision is absent, imports well or fails for another reason; may be called again.
    The operators are declared, not defined: using one still raises torchvision's own error.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    if "operator torchvision::" in _import_failure():
        _declare_operators()
        _forget_half_imported()
        _import_failure()


def _import_failure() -> str:
    # A failure of another kind is reported best by whoever needs torchvision.
    try:
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError) as error:
        return str(error)
    return ""


def _declare_operators() -> None:
    from torch.library import Library

    logging.getLogger(__name__).debug("torchvision's compiled operators do not load; declaring %s", ", ".join(_MISSING))
    # A fragment adds to a namespace that may exist; it lives only as long as the object.
    library = Library("torchvision", "FRAGMENT")
    for name in _MISSING:
        library.define(name + _SCHEMA)
    _libraries.append(library)


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
