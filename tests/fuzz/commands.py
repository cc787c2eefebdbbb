"""A stream through the command line, in a process forked for it: what a user sees, without the start of Python and torch."""

import contextlib
import os
import resource
import sys
import time
import traceback

SECONDS, MEGABYTES = 40.0, 1000.0
MOST_WORDS = 20000
# small enough that 500 streams take minutes
LIMITS = (("--max-pixels", str(1 << 18)), ("--max-frames", "300"), ("--max-memory", str(256 << 20)))


def outcome(folder, verb, data):
    """What `rfcodec VERB` says of a stream, as a dictionary: kind, detail, fine, seconds, megabytes."""
    source, target = folder / "input.rfv", folder / "out.y4m"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    words = [verb[0], str(source), *([str(target)] if verb[0] == "decode" else []), *verb[1:], *_limits(verb[0])]
    start = time.monotonic()
    child = _forked(folder, words)
    status, usage = _wait(child, start + SECONDS)
    said = (folder / "err").read_text(errors="replace")
    shown = said + (folder / "said").read_text(errors="replace")
    taken, peak = time.monotonic() - start, usage.ru_maxrss / 1024
    last = said.strip().splitlines()[-1] if said.strip() else ""
    kind = "ok" if status == 0 else " ".join(last.split()[:4]) if status == 1 else f"status {status}"
    if status is None:
        kind = "hang"
    elif "Traceback" in said or status not in (0, 1):
        kind = f"traceback {last.partition(':')[0]}" if "Traceback" in said else kind
    elif peak > MEGABYTES:
        kind = "memory"
    elif len(said) > MOST_WORDS or not all(letter.isprintable() or letter in "\n\t" for letter in shown):
        kind = "unprintable"
    else:
        return {"kind": kind, "detail": "", "fine": True, "seconds": taken, "megabytes": peak}
    return {"kind": kind, "detail": last[:160], "fine": False, "seconds": taken, "megabytes": peak}


def _limits(verb):
    """Limits of a decoder, where the command has them."""
    from typer.main import get_command

    from rfcodec.cli.app import app

    known = {word for option in get_command(app).commands[verb].params for word in option.opts}
    return [word for pair in LIMITS if pair[0] in known for word in pair]


def _forked(folder, words):
    with (folder / "err").open("wb") as err, (folder / "said").open("wb") as out:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            return child
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        _run(words)
        return os._exit(99)


def _run(words):
    """The command line, then the end of this process with its status."""
    from rfcodec.cli.app import main

    status = 0
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.argv = ["rfcodec", *words]
    try:
        main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
        status = 70
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _wait(child, end):
    while time.monotonic() < end:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage
        time.sleep(0.01)
    os.kill(child, 9)
    return None, os.wait4(child, 0)[2]
