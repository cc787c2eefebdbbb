import subprocess
import sys

# The state of torchvision is a matter of the whole process, hence a fresh one for each test.
FAKE = """
import importlib, pathlib, sys, tempfile
import rfcodec.support.torchvision_repair as module
def fake(text):
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(text)
    sys.path.insert(0, str(folder))
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def check(code):
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_what_torchvision_breaks_can_be_imported():
    check(
        "import rfcodec.support.torchvision_repair as module\n"
        "module.repair_torchvision(); before = len(module._libraries)\n"
        "module.repair_torchvision(); assert len(module._libraries) == before <= 1\n"
        "from diffusers import WanTransformer3DModel\n"
        "from transformers import UMT5EncoderModel\n"
        "import lpips, torchvision.models"
    )


def test_the_module_itself_imports_nothing_heavy():
    check("import sys, rfcodec.support.torchvision_repair\nassert not {'torch', 'torchvision'} & set(sys.modules)")


def test_a_healthy_torchvision_is_not_touched():
    check(
        FAKE + "fake('token = object()')\n"
        "import torchvision; token = torchvision.token\n"
        "module.repair_torchvision()\n"
        "assert torchvision.token is token is sys.modules['torchvision'].token\n"
        "assert module._libraries == [] and 'torch' not in sys.modules"
    )


def test_another_fault_of_torchvision_is_left_to_whoever_needs_it():
    check(
        FAKE + "fake('raise RuntimeError(\"something else\")')\nmodule.repair_torchvision()\nassert module._libraries == []"
    )


def test_an_absent_torchvision_is_not_missed():
    check(
        FAKE + "importlib.util.find_spec = lambda name: None\n"
        "module.repair_torchvision()\n"
        "assert 'torchvision' not in sys.modules and 'torch' not in sys.modules"
    )


def test_missing_operators_are_declared_and_the_import_is_tried_again():
    text = (
        "import torch\n"
        "for name in ('nms', 'qnms'):\n"
        "    torch.library.register_fake('torchvision::' + name)(lambda dets, scores, iou_threshold: dets)"
    )
    check(
        FAKE + f"fake({text!r})\n"
        "try:\n    import torchvision; raise SystemExit('the fake must fail')\n"
        "except RuntimeError as error:\n    assert 'operator torchvision::nms' in str(error)\n"
        "module.repair_torchvision()\n"
        "import torchvision"
    )
