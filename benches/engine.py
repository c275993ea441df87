"""A fan of N stages that each run a small command, against ninja with the same commands; or a chain of N.

usage: engine.py [N] [RUNS]
       engine.py chain [N] [RUNS]

The chain is planned in full, and run once: a chain of 100,000 takes minutes to run, then seconds to look at.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from common import SULCUS, in_turns, report, seconds, sulcus

NAMES = ("sulcus", "ninja")


def inputs(folder, n):
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    (folder / "source.txt").write_text("12345678 the rest\n")
    for i in range(n):
        (folder / "in" / f"{i}.txt").write_text(f"input {i}\n")


def commands(n):
    """Name, command, what it reads, what it writes."""
    yield "head", "head -c 8 source.txt > out/head", ["source.txt"], "out/head"
    for i in range(n):
        yield f"leaf{i}", f"cat out/head in/{i}.txt > out/{i}", ["out/head", f"in/{i}.txt"], f"out/{i}"
    yield "join", f"cat out/[0-9]* > out/join", [f"out/{i}" for i in range(n)], "out/join"


def chain(n):
    """Each command copies what the one before it wrote."""
    yield "s0", "head -c 8 source.txt > out/0", ["source.txt"], "out/0"
    for i in range(1, n):
        yield f"s{i}", f"cat out/{i - 1} > out/{i}", [f"out/{i - 1}"], f"out/{i}"


def workflow(stages):
    lines = ["stages:"]
    for name, run, reads, writes in stages:
        lines += [f"  {name}:", "    uses: command"]
        lines += [f"    with: {{ run: {json.dumps(run)}, reads: {json.dumps(reads)}, writes: {writes} }}"]
    return "\n".join(lines) + "\n"


def ninja_file(stages):
    lines = ["rule sh", "  command = $run"]
    for _, run, reads, writes in stages:
        lines += [f"build {writes}: sh {' '.join(reads)}", f"  run = {run}"]
    return "\n".join(lines) + "\n"


def prepare(folders, stages, n):
    """The same stages for both, and the command that brings them up to date."""
    stages = list(stages)
    for folder in folders.values():
        inputs(folder, n)
    (folders["sulcus"] / "sulcus.yaml").write_text(workflow(stages))
    (folders["ninja"] / "build.ninja").write_text(ninja_file(stages))
    return {
        "sulcus": ([SULCUS, "run", "-q", "-j2"], folders["sulcus"]),
        "ninja": (["ninja", "-j2", "--quiet"], folders["ninja"]),
    }


def long_chain(n, runs):
    # ninja calls itself along a chain: it crashes at 30,000 with the usual stack.
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (most, most))
    with tempfile.TemporaryDirectory() as base:
        folders = {name: pathlib.Path(base) / name for name in NAMES}
        sides = prepare(folders, chain(n), 0)
        dry = {"sulcus": ([SULCUS, "plan"], folders["sulcus"]), "ninja": (["ninja", "-n", "--quiet"], folders["ninja"])}
        compare = lambda case, taken: report(case, taken["sulcus"], taken["ninja"], "ninja")
        compare(f"plan of a chain of {n}", in_turns(dry, 1))
        compare("first run", {name: seconds(*side) for name, side in sides.items()})
        in_turns(sides, 1)
        compare("nothing to do", in_turns(sides, runs))
        compare("plan again", in_turns(dry, runs))


def first_runs(base, n):
    """Median seconds of five runs from nothing, each side first in turn; and the last project.

    Nothing is deleted in between: a file system may look past every lately deleted inode when it makes a file.
    """
    times = {name: [] for name in NAMES}
    for round in range(5):
        folders = {name: base / str(round) / name for name in NAMES}
        sides = prepare(folders, commands(n), n)
        for name in NAMES if round % 2 else reversed(NAMES):
            times[name].append(seconds(*sides[name]))
    return {name: statistics.median(found) for name, found in times.items()}, folders, sides


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["chain"]:
        numbers = [int(a) for a in arguments[1:]]
        return long_chain(*(numbers + [100_000, 5][len(numbers) :]))
    n = int(arguments[0]) if arguments else 1000
    runs = int(arguments[1]) if len(arguments) > 1 else 7
    with tempfile.TemporaryDirectory() as base:
        first, folders, sides = first_runs(pathlib.Path(base), n)
        report(f"first run of {n}", first["sulcus"], first["ninja"], "ninja")
        in_turns(sides, 1)
        tick = iter(range(1, 1_000_000))

        def touch(name):
            os.utime(folders[name] / "source.txt")

        def leaf(name):
            (folders[name] / "in" / "1.txt").write_text(f"edited {next(tick)}\n")

        def tail(name):
            (folders[name] / "source.txt").write_text(f"12345678 tail {next(tick)}\n")

        none = in_turns(sides, runs)
        report("nothing to do", none["sulcus"], none["ninja"], "ninja")
        for case, change, expected in [("touched", touch, 0), ("one leaf edited", leaf, 2), ("equal output", tail, 1)]:
            time.sleep(0.05)
            taken = in_turns(sides, runs, change)
            change("sulcus")
            ran = len(json.loads(sulcus(folders["sulcus"], "run", "--json").splitlines()[-1])["executed"])
            own = f"÷ own nothing-to-do {taken['sulcus'] / none['sulcus']:.2f}, {ran} of {expected} stages ran"
            report(case, taken["sulcus"], taken["ninja"], "ninja", more=own)


main()
