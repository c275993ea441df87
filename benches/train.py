"""A training step of `model.train` against torch eager: time, and the most memory that the process held.

Both run in processes of their own, in turns, with few and with many steps; the difference leaves out what they
need to start. ResNet-18 sees images of 3 × 32 × 32 in batches of 128, LeNet-5 of 1 × 28 × 28 and the network
64-64-10 rows of 64 in batches of 32; SGD with momentum, two threads (torch on small networks: the better of one
and two).

usage: train.py [ROUNDS] [resnet18] [lenet] [mlp]
needs: cargo build --release; torch and numpy
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

from common import SULCUS, report

THREADS = 2

WORKFLOW = """\
stages:
  data:
    uses: ingest.arrays
    with: { arrays: { x: x.npy, label: label.npy } }
  net:
    uses: model.build
    with: { architecture: NET, classes: 10, seed: 0 }
  train:
    uses: model.train
    threads: THREADS
    in: { model: net, data: data }
    with: { input: x, target: label, steps: STEPS, batch_size: BATCH, learning_rate: 0.01, momentum: 0.9 }
"""

# Network, shape of a row, rows, rows of a batch, few and many steps of ours, the part of them that torch does, and
# the numbers of threads that torch may choose from.
CASES = {
    "resnet18": ("resnet, input: [3, 32, 32]", (3, 32, 32), 512, 128, 2, 6, 1, [THREADS]),
    "lenet": ("lenet, input: [1, 28, 28]", (1, 28, 28), 1024, 32, 200, 1200, 1, [1, THREADS]),
    "mlp": ("mlp, input: [64], hidden: [64]", (64,), 1600, 32, 1000, 11000, 4, [1, THREADS]),
}


def held(command, folder):
    """Standard output of a process, and the most megabytes that it held."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{command}: status {status}")
        out.seek(0)
        return out.read(), usage.ru_maxrss / 1024


def ours(folder, case, steps):
    """Seconds of the training step alone, and megabytes."""
    net, _, _, batch, *_ = CASES[case]
    text = WORKFLOW.replace("NET", net).replace("STEPS", str(steps)).replace("BATCH", str(batch))
    (folder / "sulcus.yaml").write_text(text.replace("THREADS", str(THREADS)))
    out, megabytes = held([SULCUS, "run", "--json", "-f", "train"], folder)
    events = [json.loads(line) for line in out.splitlines()]
    return next(e["seconds"] for e in events if e.get("event") == "executed" and e["step"] == "train"), megabytes


def theirs(folder, case, steps, threads):
    """Seconds of as many steps in torch, and megabytes."""
    out, megabytes = held([sys.executable, __file__, "torch", case, str(steps), str(threads)], folder)
    return float(out), megabytes


def torch_steps(case, steps, threads):
    """What `theirs` runs in a process of its own, in the folder of the data."""
    import torch

    from dynamics import resnet

    nn = torch.nn
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    small = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5, padding=2), nn.ReLU()]
    dense = [nn.Linear(784, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    net = {
        "resnet18": lambda: resnet(torch),
        "lenet": lambda: nn.Sequential(*small, nn.MaxPool2d(2), nn.Flatten(), *dense),
        "mlp": lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
    }[case]()
    x, label = torch.tensor(numpy.load("x.npy")), torch.tensor(numpy.load("label.npy"))
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss, batch = nn.CrossEntropyLoss(), CASES[case][3]
    begun, done = time.perf_counter(), 0
    while done < steps:
        order = torch.randperm(len(x))
        for at in range(0, min(len(x), (steps - done) * batch), batch):
            rows = order[at : at + batch]
            sgd.zero_grad()
            loss(net(x[rows]), label[rows]).backward()
            sgd.step()
            done += 1
    print(time.perf_counter() - begun)


def compare(case, rounds):
    _, shape, rows, _, few, many, part, choices = CASES[case]
    draw = numpy.random.default_rng(0)
    times, memory = {"ours": [], "torch": []}, {"ours": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / ".sulcus").mkdir()
        numpy.save(folder / "x.npy", draw.standard_normal((rows, *shape), dtype=numpy.float32))
        numpy.save(folder / "label.npy", draw.integers(0, 10, rows))
        for _ in range(rounds):
            pair = ours(folder, case, few), ours(folder, case, many)
            times["ours"].append((pair[1][0] - pair[0][0]) / (many - few))
            memory["ours"].append(pair[1][1])
            pairs = [(theirs(folder, case, few // part, t), theirs(folder, case, many // part, t)) for t in choices]
            times["torch"].append(min(b[0] - a[0] for a, b in pairs) * part / (many - few))
            memory["torch"].append(min(b[1] for _, b in pairs))
    ratios = sorted(a / b for a, b in zip(times["ours"], times["torch"]))
    middle = statistics.median
    spread = f"median of ratios {middle(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}"
    report(f"{case}: a step", middle(times["ours"]) * 1e3, middle(times["torch"]) * 1e3, "torch", "ms", spread)
    report(f"{case}: memory held", middle(memory["ours"]), middle(memory["torch"]), "torch", "MB")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["torch"]:
        torch_steps(arguments[1], int(arguments[2]), int(arguments[3]))
    else:
        rounds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 5
        for case in arguments or CASES:
            compare(case, rounds)
