"""A fan of N stages that each run a small command, against ninja with the same commands.

usage: engine.py [N] [RUNS]
"""

import json
import os
import pathlib
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


def workflow(n):
    lines = ["stages:"]
    for name, run, reads, writes in commands(n):
        lines += [f"  {name}:", "    uses: command"]
        lines += [f"    with: {{ run: {json.dumps(run)}, reads: {json.dumps(reads)}, writes: {writes} }}"]
    return "\n".join(lines) + "\n"


def ninja_file(n):
    lines = ["rule sh", "  command = $run"]
    for _, run, reads, writes in commands(n):
        lines += [f"build {writes}: sh {' '.join(reads)}", f"  run = {run}"]
    return "\n".join(lines) + "\n"


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with tempfile.TemporaryDirectory() as base:
        folders = {name: pathlib.Path(base) / name for name in NAMES}
        for folder in folders.values():
            inputs(folder, n)
        (folders["sulcus"] / "sulcus.yaml").write_text(workflow(n))
        (folders["ninja"] / "build.ninja").write_text(ninja_file(n))
        sides = {
            "sulcus": ([SULCUS, "run", "-q", "-j2"], folders["sulcus"]),
            "ninja": (["ninja", "-j2", "--quiet"], folders["ninja"]),
        }
        first = {name: seconds(*side) for name, side in sides.items()}
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
