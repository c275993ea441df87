"""Steps per second of `model.train` on the 64-64-10 network, batch 32, against torch eager.

Both run twice in each round, with few and with many epochs; the difference leaves out what they need
to start.

usage: train.py [ROUNDS]
"""

import json
import pathlib
import statistics
import sys
import tempfile
import time

import numpy
import torch

from common import report, sulcus

ROWS, BATCH, THREADS = 1600, 32, 2
FEW, MANY = 20, 220

WORKFLOW = """\
stages:
  data:
    uses: ingest.arrays
    with: { arrays: { x: x.npy, label: label.npy } }
  net:
    uses: model.build
    with: { architecture: mlp, input: [64], hidden: [64], classes: 10, seed: 0 }
  train:
    uses: model.train
    threads: THREADS
    in: { model: net, data: data }
    with: { input: x, target: label, epochs: EPOCHS, batch_size: BATCH, learning_rate: 0.01, momentum: 0.9 }
"""


def ours(folder, epochs):
    """Seconds of the training step alone."""
    text = WORKFLOW.replace("EPOCHS", str(epochs)).replace("BATCH", str(BATCH)).replace("THREADS", str(THREADS))
    (folder / "sulcus.yaml").write_text(text)
    events = [json.loads(line) for line in sulcus(folder, "run", "--json", "-f", "train").splitlines()]
    return next(e["seconds"] for e in events if e.get("event") == "executed" and e["step"] == "train")


def theirs(x, label, epochs, threads):
    """Seconds of as many epochs in torch."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss = torch.nn.CrossEntropyLoss()
    begun = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(ROWS)
        for at in range(0, ROWS, BATCH):
            rows = order[at : at + BATCH]
            sgd.zero_grad()
            loss(net(x[rows]), label[rows]).backward()
            sgd.step()
    return time.perf_counter() - begun


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    draw = numpy.random.default_rng(0)
    x = draw.standard_normal((ROWS, 64), dtype=numpy.float32)
    label = draw.integers(0, 10, ROWS)
    steps = (MANY - FEW) * ROWS // BATCH
    part = 4  # torch is slow enough for a part of the epochs
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        numpy.save(folder / "x.npy", x)
        numpy.save(folder / "label.npy", label)
        rates = {"ours": [], "torch": []}
        tx, tlabel = torch.tensor(x), torch.tensor(label)
        for _ in range(rounds):
            rates["ours"].append(steps / (ours(folder, MANY) - ours(folder, FEW)))
            span = lambda threads: theirs(tx, tlabel, MANY // part, threads) - theirs(tx, tlabel, FEW // part, threads)
            # Two threads hurt torch on so small a net while others use the cores: the better of both counts.
            rates["torch"].append(steps / part / min(span(1), span(THREADS)))
    mine, peer = (statistics.median(rates[name]) for name in ("ours", "torch"))
    ratios = sorted(a / b for a, b in zip(rates["ours"], rates["torch"]))
    report("training 64-64-10, batch 32", mine, peer, "torch", "steps/s", f"{ratios[0]:.1f} to {ratios[-1]:.1f}")


main()
