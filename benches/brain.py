#!/usr/bin/env python3
"""RDMs, their comparison and ridge regression against rsatoolbox and himalaya, in turns on the same data.

    cargo build --release -p science --example brain
    python3 benches/brain.py [ROUNDS]

Needs numpy, rsatoolbox and himalaya. Both sides have THREADS threads; each time is that of the work
alone, in a fresh process, with the peak memory of that process.

Ridge is also given as a share of the machine's rate of matrix products: the operations that cross-validation
cannot do without ÷ its time ÷ the measured rate of X X' with the same threads and precision.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = os.environ.get("BRAIN", str(ROOT / "target" / "release" / "examples" / "brain"))
THREADS = os.environ.get("THREADS", "2")
ALPHAS = "numpy.logspace(-1, 6, 20)"

READ = """
import sys, time, resource, numpy
folder = sys.argv[1]
def read(name, columns, dtype): return numpy.fromfile(folder + "/" + name, dtype).reshape(-1, columns)
def done(begun, check):
    print(time.perf_counter() - begun, check)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

RDM = READ + """
import rsatoolbox
data = rsatoolbox.data.Dataset(read("x64.bin", 5000, "<f8"))
begun = time.perf_counter()
found = rsatoolbox.rdm.calc_rdm(data, method="correlation")
done(begun, "%.12f" % found.dissimilarities.sum())
"""

COMPARE = READ + """
import rsatoolbox
a, b = (rsatoolbox.rdm.RDMs(read(name, 499500, "<f8")) for name in ("r1.bin", "r2.bin"))
begun = time.perf_counter()
found = rsatoolbox.rdm.compare(a, b, method="METHOD")
done(begun, "%.12f" % found.sum())
"""

RIDGE = READ + f"""
from sklearn.model_selection import KFold
from himalaya.scoring import r2_score
from himalaya.ridge import RidgeCV
from himalaya.kernel_ridge import KernelRidgeCV
x, y = read("x32.bin", 4096, "<f4"), read("y32.bin", 1000, "<f4")
alphas = {ALPHAS}.astype("f4")
begun = time.perf_counter()
options = dict(score_func=r2_score)
model = MODEL(alphas=alphas, cv=KFold(5), solver_params=options, **dict(fit_intercept=True)).fit(x, y)
taken = numpy.searchsorted(alphas, model.best_alphas_ * 0.999)
done(begun, "- " + ",".join(str(i) for i in taken))
"""

# What it is called here, the peer's program, and its name.
TASKS = [
    ("rdm", RDM, "rsatoolbox"),
    ("cosine", COMPARE.replace("METHOD", "cosine"), "rsatoolbox"),
    ("spearman", COMPARE.replace("METHOD", "spearman"), "rsatoolbox"),
    ("tau-a", COMPARE.replace("METHOD", "tau-a"), "rsatoolbox"),
    ("ridge", RIDGE.replace("MODEL", "RidgeCV"), "himalaya svd"),
    ("ridge", RIDGE.replace("MODEL", "KernelRidgeCV"), "himalaya kernel"),
]


def write(folder):
    """The inputs of both sides."""
    draw = numpy.random.default_rng(1)
    draw.standard_normal((1000, 5000)).tofile(folder / "x64.bin")
    for name in ("r1.bin", "r2.bin"):
        draw.random((10, 499500)).tofile(folder / name)
    x = draw.standard_normal((2000, 4096)).astype("<f4")
    weights = draw.standard_normal((4096, 1000)).astype("<f4") * 0.02
    noise = draw.standard_normal((2000, 1000)) * numpy.linspace(0.5, 6, 1000)
    x.tofile(folder / "x32.bin")
    (x @ weights + noise).astype("<f4").tofile(folder / "y32.bin")


def run(command):
    """Seconds, checksum and peak memory (MB) that a program states."""
    limits = {name: THREADS for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    timed = ["/usr/bin/env", "python3", "-c", WATCH, *command]
    done = subprocess.run(timed, capture_output=True, text=True, env={**os.environ, **limits})
    if done.returncode:
        sys.exit(f"{command[:2]}: {done.stderr}")
    lines = done.stdout.split("\n")
    seconds, check = lines[0].split(" ", 1)
    return float(seconds), check, int(lines[-2]) / 1024


# Starts a program and prints the peak memory of it alone.
WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def same(task, ours, theirs):
    """How the answers of both sides agree."""
    if task != "ridge":
        return f"answers differ by {abs(float(ours) - float(theirs)):.1e}"
    a, b = (text.split(" ")[1].split(",") for text in (ours, theirs))
    return f"same penalty for {sum(x == y for x, y in zip(a, b))} of {len(a)} targets"


# Rows, features, targets, penalties and folds of the task `ridge`.
ROWS, FEATURES, TARGETS, PENALTIES, FOLDS = 2000, 4096, 1000, 20, 5


def gemm_operations():
    """Floating-point operations of X X', each entry computed."""
    return 2 * ROWS**2 * FEATURES


def ridge_operations():
    """Floating-point operations of ridge regression by cross-validation with a final fit, by one kernel matrix.

    X X' (n x n, symmetric: half of it); for the training rows of each fold, and for all rows at the end, the
    eigenvectors of their part of it (reduction to a tridiagonal matrix and back, 4/3 + 2 n^3, the iteration between
    them left out) and Y in them (2 n^2 v); in each fold the held-out rows in them (2 m n^2), and for each penalty the
    predictions (2 m n v); at the end Y back from them (2 n^2 v), and the weights from X' (2 n p v).
    """
    held = ROWS // FOLDS
    train = ROWS - held

    def eigenvectors(n):
        return (4 / 3 + 2) * n**3

    fold = eigenvectors(train) + 2 * train**2 * (TARGETS + held) + PENALTIES * 2 * held * train * TARGETS
    last = eigenvectors(ROWS) + 4 * ROWS**2 * TARGETS + 2 * ROWS * FEATURES * TARGETS
    return gemm_operations() / 2 + FOLDS * fold + last


def main():
    """Every task in turns."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    only = sys.argv[2:]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write(folder)
        for task, program, peer in TASKS:
            if only and task not in only:
                continue
            sides = {"ours": [OURS, task, THREADS, str(folder)], "theirs": [sys.executable, "-c", program, str(folder)]}
            found = {side: [] for side in sides}
            for _ in range(rounds):
                for side, command in sides.items():
                    found[side].append(run(command))
            ours, theirs = (statistics.median(f[0] for f in found[side]) for side in sides)
            memory = " and ".join(f"{max(f[2] for f in found[side]):.0f}" for side in sides)
            agreement = same(task, found["ours"][0][1], found["theirs"][0][1])
            print(f"{task:10} ours {ours:8.3f} s  {peer:16} {theirs:8.3f} s  {theirs / ours:6.1f} x  {memory} MB  {agreement}", flush=True)
            if task == "ridge":
                gemm = statistics.median(run([OURS, "gemm", THREADS, str(folder)])[0] for _ in range(rounds))
                rate = gemm_operations() / gemm
                share = ridge_operations() / ours / rate
                print(f"{'':10} one X Xᵀ takes {gemm:.3f} s: ours is {ours / gemm:.0f} of them", flush=True)
                print(
                    f"{'':10} ours: {ridge_operations() / 1e9:.0f} GFLOP in {ours:.3f} s are {share:.0%} of the rate of"
                    f" that product, {rate / 1e9:.0f} GFLOP/s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
