"""What the benchmarks share: the binary, timing in turns, and one line per case."""

import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SULCUS = os.environ.get("SULCUS", str(ROOT / "target" / "release" / "sulcus"))


def sulcus(folder, *arguments):
    """Runs our binary; returns its standard output."""
    done = subprocess.run([SULCUS, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"sulcus {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def seconds(command, folder):
    """Wall time of one command, which must succeed."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    taken = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{command}: exit {done.returncode}\n{done.stderr.decode()}")
    return taken


def in_turns(sides, runs, prepare=lambda name: None):
    """Median seconds by name: A B A B …; `prepare` comes before each, untimed."""
    times = {name: [] for name in sides}
    for _ in range(runs):
        for name, (command, folder) in sides.items():
            prepare(name)
            times[name].append(seconds(command, folder))
    return {name: statistics.median(found) for name, found in times.items()}


def report(case, ours, theirs, peer, unit="s", more=""):
    """One line: the case, both figures, their ratio."""
    print(f"{case:34} ours {ours:10.4f} {unit}  {peer} {theirs:10.4f} {unit}  ratio {ours / theirs:7.2f}  {more}", flush=True)
