"""The laws of the code as tests: sizes, imports, one home for every setting, a frozen command line."""

import ast
import re
import tomllib
from pathlib import Path
from statistics import median

import typer

import rfcodec
from rfcodec import errors
from rfcodec.cli.app import app
from rfcodec.config import EncoderConfig, RuntimeConfig, StreamConfig

ROOT = Path(rfcodec.__file__).parents[1]
PACKAGES = ("rfcodec", "conditioning", "codebooks")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST_FILE, LONGEST_PIPELINE, LONGEST_BODY, LARGEST_MEDIAN = 400, 150, 60, 10
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
TREES = {name: ast.parse(path.read_text()) for name, path in zip(NAMES, FILES, strict=True)}


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function):
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def imported(tree):
    """Every module that the file imports, wherever the import stands."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def roots(tree):
    return {module.partition(".")[0] for module in imported(tree)}


def calls(tree):
    """Name and line of every call of a plain name."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [(node.func.id, node.lineno) for node in found]


def offenders(found):
    """The files that anything was found in, with what was found."""
    return {name: offences for name, offences in found.items() if offences}


def test_there_is_something_to_look_at():
    assert "rfcodec/codec.py" in TREES
    assert len(TREES) > 40


def test_files_are_short():
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in NAMES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_bodies_are_short():
    lengths = {f"{name}:{f.lineno} {f.name}": body_lines(f) for name, tree in TREES.items() for f in functions(tree)}
    assert {function: length for function, length in lengths.items() if length > LONGEST_BODY} == {}


def test_most_bodies_are_very_short():
    lengths = sorted(body_lines(function) for tree in TREES.values() for function in functions(tree))
    assert median(lengths) < LARGEST_MEDIAN
    assert lengths[len(lengths) * 9 // 10] < LONGEST_BODY // 2


def test_the_pipeline_fits_on_a_screen_or_two_and_knows_no_mode():
    text = (ROOT / "rfcodec" / "codec.py").read_text()
    assert len(text.splitlines()) < LONGEST_PIPELINE
    assert not re.search("t2v|i2v|flf2v", text, re.IGNORECASE)


def test_the_bitstream_is_integers_alone():
    found = {name: roots(tree) & {"torch", "scipy"} for name, tree in TREES.items() if name.startswith("rfcodec/bitstream/")}
    assert found
    assert offenders(found) == {}


def test_the_top_of_the_package_is_what_one_imports():
    """A new file here needs a reason in docs/adr; a third helper of a kind makes a folder."""
    top = sorted(path.name for path in (ROOT / "rfcodec").glob("*.py"))
    assert top == [
        "__init__.py",
        "__main__.py",
        "api.py",
        "codec.py",
        "config.py",
        "errors.py",
        "noise.py",
        "presets.py",
        "protocols.py",
        "registry.py",
        "types.py",
    ]


def test_import_contracts_cover_every_module():
    """Layers are exhaustive, and plugins have a list of what they may see."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (contract for contract in settings["contracts"] if contract["type"] == "layers")
    named = {name.strip() for layer in layers["layers"] for name in layer.split("|")}
    found = {path.stem for path in (ROOT / "rfcodec").iterdir() if (path.suffix == ".py" or path.is_dir())}
    assert named == found - {"__init__", "__pycache__", "py"}
    assert layers["exhaustive"]


def test_the_bitstream_loads_no_torch(process):
    modules = ", ".join(name[:-3].replace("/", ".") for name in NAMES if re.fullmatch(r"rfcodec/bitstream/[a-z]+\.py", name))
    outcome = process("-c", f"import sys, {modules}; print('torch' in sys.modules)")
    assert (outcome.status, outcome.out.strip()) == (0, "False"), outcome.err


def test_the_core_and_its_plugins_meet_in_the_registry_alone():
    strangers = {"rfcodec": {"conditioning", "codebooks"}, "conditioning": {"codebooks"}, "codebooks": {"conditioning"}}
    outside = {"tests", "benchmarks"}
    met = {name: roots(tree) & (strangers[name.partition("/")[0]] | outside) for name, tree in TREES.items()}
    assert offenders(met) == {}


def test_nothing_prints_but_the_console():
    printing = {name: [line for call, line in calls(tree) if call == "print"] for name, tree in TREES.items()}
    assert offenders(printing) == {}, "results are printed by rfcodec/support/console.py"


def test_nothing_is_pickled_and_no_path_is_edited():
    forbidden = re.compile(r"pickle\.(?:loads?|dumps?)\b|sys\.path\b|np\.random\.seed|manual_seed")
    assert offenders({name: forbidden.findall((ROOT / name).read_text()) for name in NAMES}) == {}


def silent(tree):
    """Public names without a docstring; functions within functions need none."""
    found = set() if ast.get_docstring(tree) else {"the module"}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ClassDef | ast.FunctionDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ):
            found.add(node.name)
    return found - {inner.name for outer in functions(tree) for inner in functions(outer) if inner is not outer}


def test_public_names_say_what_they_are():
    assert offenders({name: silent(tree) for name, tree in TREES.items()}) == {}


def test_a_setting_has_one_home():
    homes = [set(config.model_fields) for config in (StreamConfig, EncoderConfig, RuntimeConfig)]
    assert sum(map(len, homes)) == len(set.union(*homes))


def test_the_command_line_is_frozen():
    """A new knob is a field, reached by --set; a new option here is a decision."""
    command = typer.main.get_command(app)
    assert sorted(command.commands) == sorted(
        ["encode", "decode", "info", "verify", "play", "calibrate", "sweep", "demo", "backbones", "codebooks", "modes"]
    )
    options = [name for parameter in command.commands["encode"].params for name in parameter.opts]
    source = ["--raw", "--fps", "--vfr", "--stream", "--strict", "--deinterlace", "--tonemap"]
    machine = ["--device", "--threads", "--offload", "--fetch"]
    workers = ["--jobs", "--executor", "--executor-set"]
    limits = ["--max-pixels", "--max-frames", "--max-memory"]
    everywhere = ["-q", "--quiet", "-v", "--verbose"]
    places = ["-i", "--input", "-o", "--output", "--overwrite", "-y"]
    everyday = ["--bpp", "--kbps", "--bytes", "--mode", "--preset", "--frames", "--size", "--recon"]
    model = ["--backbone", "--steps", "--gop", "--prompt", "--caption"]
    expert = ["--codebook", "--still", "--roi", "--set"]
    everyday = ["source", "target", *everyday, *places, "--force", "--json"]
    assert options == [*everyday, *source, *model, *machine, *workers, *limits, *expert, *everywhere]
    decoding = [name for parameter in command.commands["decode"].params for name in parameter.opts]
    shown = ["--realism", "--closing-steps"]
    everyday = ["source", "target", "--frames", "--partial", *places, "--pad-even", "--json", "--backbone", "--override"]
    assert decoding == [*everyday, *machine, *workers, *limits, *shown, *everywhere]
    looking = [name for parameter in command.commands["info"].params for name in parameter.opts]
    assert looking == ["source", "--full", "--json", *everywhere]
    for name, kind in command.commands.items():
        taken = [option for parameter in kind.params for option in parameter.opts]
        assert name == "backbones" or {"-q", "-v"} <= set(taken)
        assert name in ("sweep", "play") or "--json" in taken
    sweeping = [name for parameter in command.commands["sweep"].params for name in parameter.opts]
    assert sweeping == [
        "description",
        "--clips",
        "--dataset",
        "--root",
        "--frames",
        "--size",
        "--backbones",
        "--modes",
        "--codebooks",
        "--bpp",
        "--anchors",
        "--external",
        "--metrics",
        "--protocol",
        "--set",
        "--out",
        "--weights",
        "--jobs",
        "--executor",
        "--address",
        "--executor-set",
        "--device",
        "--threads",
        "--offload",
        "--dry-run",
        *everywhere,
    ]


def test_the_listing_of_backbones_is_frozen():
    listing = typer.main.get_command(app).commands["backbones"]
    assert [name for parameter in listing.params for name in parameter.opts] == ["--json"]
    assert sorted(listing.commands) == ["show"]
    showing = [name for parameter in listing.commands["show"].params for name in parameter.opts]
    assert showing == ["name", "--size", "--frames", "--dtype", "--set", "--json", "-q", "--quiet", "-v", "--verbose"]


def test_every_error_is_raised_somewhere():
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    parents = {base.__name__ for name in kinds for base in getattr(errors, name).__mro__[1:]}
    used = set()
    for tree in TREES.values():
        raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
        warned = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
        ]
        used |= {call.func.id for call in raised if isinstance(call.func, ast.Name)}
        used |= {argument.id for call in warned for argument in call.args if isinstance(argument, ast.Name)}
    assert kinds - parents <= used


def test_errors_are_raised_with_a_message():
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Raise)
                and isinstance(node.exc, ast.Call)
                and hasattr(errors, ast.unparse(node.exc.func))
            ):
                assert node.exc.args, f"{name}:{node.lineno}"


def test_importing_has_no_effect(process, tmp_path):
    modules = [name[:-3].replace("/", ".").removesuffix(".__init__") for name in NAMES if not name.endswith("__main__.py")]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    homes = dict.fromkeys(["HOME", "XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME"], str(tmp_path))
    outcome = process("-B", "-c", code, *modules, cwd=tmp_path, env=homes)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert not list(tmp_path.iterdir())
