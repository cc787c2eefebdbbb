"""Fuzzes for as long as it is told: `python tests/fuzz/run.py --minutes 60`, `--inputs 20000`, `--command-line 500`.

Inputs of all targets in turn, in a child with a limit of memory; input N of a seed is always the same. Prints what the
inputs came to and saves those that ended neither in success nor in an error of ours.
"""

import argparse
import json
import os
import random
import resource
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SECONDS, MEGABYTES = 10.0, 600.0  # of the processor, and beside that what a sound stream of that size takes
SPACE = 3 << 30  # address space beside what is loaded
STALL = 6 * 75.0
HERE = Path(__file__).resolve().parent
VERBS = (("info",), ("decode",), ("decode", "--partial"))


def arguments():
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=2000, help="inputs of all targets together")
    parser.add_argument("--command-line", type=int, default=0, help="streams through the command line")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after these")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the inputs; default: the clock")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="TARGET", help="names of targets, or the beginnings of them"
    )
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"), help="folder for inputs that were not read well")
    parser.add_argument("--tree", type=Path, default=HERE.parent.parent, help="the checkout under test")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def input_of(seed, number, chosen):
    """Target and bytes of input N: a function of seed and N alone."""
    from targets import TARGETS

    name = chosen[number % len(chosen)]
    return name, TARGETS[name].make(random.Random(f"{seed}/{number}/{name}"))


def selected(only):
    """Names of the targets that are meant; streams, which reach most, come as often as all others together."""
    from targets import TARGETS

    names = [name for name in TARGETS if not only or any(name.startswith(word) for word in only)]
    whole = [name for name in names if name in ("decode", "decode partial", "container", "salvage")]
    return names + whole * (len(names) // max(2 * len(whole), 1))


def child(options):
    """Reads inputs from number `child` on, a line of JSON for each; the parent watches."""
    from bounded import attempt
    from targets import TARGETS, allowance

    chosen = selected(options.only)
    loaded = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (loaded + SPACE, loaded + SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(options.child, options.inputs):
        name, data = input_of(options.seed, number, chosen)
        print(json.dumps({"begin": number, "target": name}), flush=True)
        found = attempt(TARGETS[name].read, data, SECONDS + allowance(name, data), MEGABYTES)
        print(json.dumps({"number": number, "target": name, **vars(found)}), flush=True)


class Findings:
    """Counts outcomes, keeps what was not fine, and prints it."""

    def __init__(self, options):
        self.options, self.kinds, self.bad = options, Counter(), []
        self.worst = {"seconds": (0.0, ""), "megabytes": (0.0, "")}

    def add(self, told, data=None):
        """One outcome."""
        self.kinds[told["kind"]] += 1
        if sum(self.kinds.values()) % 1000 == 0:
            print(f"{sum(self.kinds.values())} inputs, {len(self.bad)} not read well", flush=True)
        for what in self.worst:
            self.worst[what] = max(self.worst[what], (told[what], f"{told['target']} {told['number']}"))
        if told["fine"]:
            return
        known = [bad for bad in self.bad if (bad["kind"], bad["detail"][:60]) == (told["kind"], told["detail"][:60])]
        self.bad.append(told)
        if len(known) < 3 and data is not None:
            self.options.out.mkdir(parents=True, exist_ok=True)
            path = self.options.out / f"{told['target'].replace(' ', '-')}-{self.options.seed}-{told['number']}.bin"
            path.write_bytes(data)
            print(f"FOUND {told['kind']} {told['detail']} [{told['target']}, {told['number']}]: {path}", flush=True)

    def report(self, seconds):
        """Numbers of the run, printed and returned."""
        numbers = {
            "seed": self.options.seed,
            "inputs": sum(self.kinds.values()),
            "not fine": len(self.bad),
            "kinds": dict(self.kinds.most_common()),
            "most seconds": self.worst["seconds"],
            "most megabytes": self.worst["megabytes"],
            "seconds": round(seconds),
            "found": sorted({f"{bad['target']}: {bad['kind']} {bad['detail']}" for bad in self.bad}),
        }
        print(json.dumps(numbers, indent=1))
        return numbers


def in_process(options):
    """All inputs in children, one after the other; a child that dies or stalls costs the input it had begun."""
    findings, number, end = Findings(options), 0, time.monotonic() + 60 * options.minutes
    start, chosen = time.monotonic(), selected(options.only)
    while number < options.inputs and time.monotonic() < end:
        number = _one_child(options, findings, number, end, chosen)
    return findings.report(time.monotonic() - start)


def _one_child(options, findings, number, end, chosen):
    command = [sys.executable, __file__, *sys.argv[1:], "--child", str(number), "--seed", str(options.seed)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1, env=_environment(options))
    begun = None
    while True:
        ready = select.select([worker.stdout], [], [], STALL if begun is not None else 120)[0]
        line = worker.stdout.readline() if ready else ""
        if not line:
            break
        told = json.loads(line)
        if "begin" in told:
            begun = told
            continue
        data = None if told["fine"] else input_of(options.seed, told["number"], chosen)[1]
        findings.add(told, data)
        number, begun = told["number"] + 1, None
        if time.monotonic() > end:
            break
    worker.kill()
    status = worker.wait()
    if begun is not None and time.monotonic() <= end:
        kind = "hang" if not ready else f"died {status}"
        lost = {"number": begun["begin"], "target": begun["target"], "kind": kind, "detail": "", "fine": False}
        findings.add(lost | {"seconds": STALL, "megabytes": 0.0}, input_of(options.seed, begun["begin"], chosen)[1])
        number = begun["begin"] + 1
    elif number < options.inputs and begun is None and time.monotonic() <= end and status not in (0, -9):
        raise SystemExit(f"the child ends with status {status} between inputs")
    return number


def by_command_line(options):
    """Streams through `rfcodec info`, `decode` and `decode --partial` in turn, each in a process that is forked for it."""
    from commands import outcome
    from streams import mutated_stream

    findings, start = Findings(options), time.monotonic()
    folder = options.out / "command-line"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(_environment(options))
    for number in range(options.command_line):
        if time.monotonic() - start > 60 * options.minutes:
            break
        data = mutated_stream(random.Random(f"{options.seed}/{number}/command line"))
        verb = VERBS[number % len(VERBS)]
        findings.add({"number": number, "target": " ".join(verb), **outcome(folder, verb, data)}, data)
    return findings.report(time.monotonic() - start)


def _environment(options):
    path = os.pathsep.join((str(options.tree.resolve()), str(HERE)))
    cache = options.out.resolve() / "cache"  # nothing of the user's is read or written
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RFCODEC_CACHE": str(cache)}


def main():
    """Runs what is asked for; status 1 where something was found."""
    options = arguments()
    if options.child is not None:
        child(options)
        return
    sys.path[:0] = [str(options.tree.resolve())]
    found = {"in process": in_process(options)} if options.inputs else {}
    if options.command_line:
        found["command line"] = by_command_line(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    raise SystemExit(1 if any(part["not fine"] for part in found.values()) else 0)


if __name__ == "__main__":
    main()
