"""A pretend accelerator on the CPU, which refuses to mix devices as a GPU would. Run as a program: it changes torch.

python tests/pretend_device.py FOLDER MODEL:MODE:STILL ... codes a clip on it in each way and prints the digests' verdicts.
"""

import sys
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

OWN = "tiny"  # the backbone whose weights are in the package
MAY_MIX = ("aten::_to_copy", "aten::copy_", "aten::index.", "aten::index_put", "aten::_index_put", "aten::set_", "aten::to.")


class Backend(_DummyBackendModule):
    """As much of a device module as diffusers asks for."""

    def empty_cache(self):
        pass

    def synchronize(self, *_):
        pass

    def current_device(self):
        return 0

    def device_count(self):
        return 1

    def get_amp_supported_dtype(self):
        return [torch.bfloat16, torch.float16]


_setup_privateuseone_for_python_backend("pretend", backend_module=Backend())
DEVICE = torch.device("pretend", 0)


class OnDevice(torch.Tensor):
    """A tensor of the CPU that says it is elsewhere."""

    @staticmethod
    def __new__(cls, inner):
        layout = {"strides": inner.stride(), "storage_offset": inner.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(cls, inner.size(), dtype=inner.dtype, device=DEVICE, **layout)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


class Pretending(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def dispatch(func, args, kwargs):
    if func is torch.ops.prim.device.default:
        return DEVICE
    name = func.name()
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    strangers = [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.ndim]
    if ours and strangers and not name.startswith(MAY_MIX):
        raise RuntimeError(f"two devices in {name}: {[tuple(tensor.shape) for tensor in strangers]} on the CPU")
    wanted = kwargs.get("device")
    elsewhere = bool(ours) if wanted is None else torch.device(wanted).type == DEVICE.type
    if wanted is not None and elsewhere:
        kwargs = kwargs | {"device": torch.device("cpu")}
    inner_args, inner_kwargs = tree_map(lambda leaf: leaf.inner if isinstance(leaf, OnDevice) else leaf, (args, kwargs))
    result = func(*inner_args, **inner_kwargs)
    if name.split(".")[0].endswith("_") and isinstance(args[0], torch.Tensor):
        return args[0]
    same = next((tensor for tensor in ours if result is tensor.inner), None)
    if same is not None or not elsewhere:
        return result if same is None else same
    return tree_map(lambda leaf: OnDevice(leaf) if isinstance(leaf, torch.Tensor) else leaf, result)


def make_tensor(data, *args, device=None, real=torch.tensor, **options):
    made = real(data.inner if isinstance(data, OnDevice) else data, *args, **options)
    return made if device is None else made.to(device)


def main(folder, *cases):
    """A process for all cases, whose start costs more than its work."""
    import tiny_models

    from rfcodec.backbones.diffusers import loading

    ways = [case.split(":") for case in cases]
    models = {name: name if name == OWN else tiny_models.save(name, Path(folder) / name) for name, _, _ in ways}
    load = loading._load

    def load_for_real(*args):
        with _disable_current_modes():
            return load(*args)

    torch.tensor, loading._load = make_tensor, load_for_real
    with Pretending():
        for name, mode, still in ways:
            print("DIGESTS", name, mode, still, code(models[name], mode, still, Path(folder) / f"{name}.rfv"))


def code(model, mode, still, out):
    """Whether the digest of each GOP is the encoder's."""
    import family_checks

    from rfcodec import api
    from rfcodec.config import RuntimeConfig

    runtime, settings = RuntimeConfig(device="pretend"), {"mode": mode, "still": still, "bytes": 4000, "gop": 9}
    frames = family_checks.frames_of(10, 72, 56)
    api.encode(frames, out, backbone=str(model), runtime=runtime, **settings, **family_checks.FEW)
    return [piece.digest_ok for piece in api.decode(out, backbone=str(model), runtime=runtime)]


if __name__ == "__main__":
    main(*sys.argv[1:])
