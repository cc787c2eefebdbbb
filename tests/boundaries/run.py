"""Every case of docs/boundaries.md against a checkout: `python tests/boundaries/run.py --tree PATH --json FILE`.

`--table BEFORE.json AFTER.json` writes both as one Markdown table to standard output.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

from kit import CASES, HERE, Case, Wrong, bench

MODULES = ("nothing_lost", "pictures", "rates", "sources", "outputs", "limits", "hostile", "state")


def result(case: Case, tree: Path) -> dict[str, object]:
    """What came of one case."""
    start = time.monotonic()
    with bench(tree) as place:
        try:
            measured, passed = case.run(place), True
        except Wrong as wrong:
            measured, passed = str(wrong), False
        except Exception as error:
            measured, passed = f"{type(error).__name__}: {error}"[:300], False
        runs = place.runs
    worst = max(runs, key=lambda run: run.megabytes, default=None)
    return {
        "part": case.part,
        "commit": commit(tree),
        "name": case.name,
        "expected": case.expected,
        "passed": passed,
        "measured": tidied(measured),
        "outcomes": [run.outcome for run in runs],
        "status": [run.status for run in runs],
        "megabytes": round(worst.megabytes) if worst else 0,
        "seconds": round(max((run.computed for run in runs), default=0.0), 1),
        "whole seconds": round(time.monotonic() - start, 1),
    }


def commit(tree: Path) -> str:
    """The commit of a checkout; empty where it is none."""
    done = subprocess.run(["git", "-C", tree, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def run_all(tree: Path, only: list[str], json_file: Path | None, again: bool) -> None:
    """Runs the cases one after the other; the JSON is written after each, so that a stop loses nothing."""
    found: dict[str, dict[str, object]] = {}
    if json_file and json_file.is_file() and (only or again):
        found = json.loads(json_file.read_text())
    for case in CASES:
        if only and not any(f"{case.part} {case.name}".startswith(word) for word in only):
            continue
        if again and found.get(f"{case.part} {case.name}", {}).get("passed"):
            continue
        told = result(case, tree)
        found[f"{case.part} {case.name}"] = told
        mark = "pass" if told["passed"] else "FAIL"
        print(
            f"{mark} {case.part:>4} {case.name}: {told['measured']} [{told['seconds']} s, {told['megabytes']} MB]",
            flush=True,
        )
        if json_file:
            json_file.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{sum(bool(told['passed']) for told in found.values())} of {len(found)} pass")


def table(before: Path, after: Path) -> str:
    """Both columns, a row a case."""
    columns = [json.loads(path.read_text()) for path in (before, after)]
    lines = ["| part | case | right | before | after |", "| --- | --- | --- | --- | --- |"]
    for case in CASES:
        cells = [case.part, case.name, case.expected, *(_cell(column.get(f"{case.part} {case.name}")) for column in columns)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    passed = [sum(told["passed"] for told in column.values()) for column in columns]
    lines.append(f"| | {len(CASES)} cases | right: | {passed[0]} | {passed[1]} |")
    return "\n".join(lines)


def tidied(text: str) -> str:
    """Without what differs from machine to machine: folders of cases, the Python that ran."""
    return re.sub(r"/tmp/boundary-\w+/?", "", text.replace(sys.executable, "python"))


def _cell(told: dict[str, object] | None) -> str:
    if told is None:
        return "not run"
    measured = "".join(c if c.isprintable() else "?" for c in str(told["measured"]))[:150]
    return f"{'**right**' if told['passed'] else 'wrong'}: {measured}; {told['seconds']} s, {told['megabytes']} MB"


def main() -> None:
    """Runs the cases, or joins what two runs wrote."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", type=Path, default=HERE.parent.parent, help="the checkout under test")
    parser.add_argument("--json", type=Path, help="file for what came of the cases; with --only, its other cases are kept")
    parser.add_argument("--only", nargs="*", default=[], metavar="CASE", help="beginnings of `part name`, such as `B6`")
    parser.add_argument("--again", action="store_true", help="run only what --json lacks or what did not pass")
    parser.add_argument("--table", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="print the table of two runs")
    options = parser.parse_args()
    for name in MODULES:
        importlib.import_module(name)
    if options.table:
        print(table(*options.table))
    else:
        run_all(options.tree.resolve(), options.only, options.json, options.again)


if __name__ == "__main__":
    sys.exit(main())
