"""The dynamics of SGD against numpy and torch, all on one thread but the Hessian products.

Regression: steps per second of SGD with 100 features and batches of 16 against a numpy loop, and against numpy
with 64 chains at once. Moments: seconds of the exact stationary moments. Recording: what it costs `model.train`
to record lengths and 30 + 30 projections at every step. Hessian: one product on a ResNet-18 (3 × 32 × 32 images)
against torch's double backward, both with two threads and running statistics.

usage: dynamics.py [ROUNDS] [regression] [moments] [recording] [hessian]
needs: cargo build --release -p science --example dynamics; -p onnx-graph --example products
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

from common import SULCUS, report, sulcus

EXAMPLES = pathlib.Path(SULCUS).parent / "examples"
FEATURES, ROWS, BATCH = 100, 4096, 16
ETA, BETA = 0.01, 0.9


def example(name, *arguments):
    """The first number that an example prints."""
    done = subprocess.run([EXAMPLES / name, *map(str, arguments)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0]) if done.stdout else 0.0


def data():
    random = numpy.random.default_rng(1)
    x = random.normal(size=(ROWS, FEATURES)) * numpy.arange(1, FEATURES + 1) ** -0.5
    return x, x @ random.normal(size=FEATURES) + 0.5 * random.normal(size=ROWS)


def loop(x, y, steps):
    """Seconds a step of one chain."""
    random = numpy.random.default_rng(2)
    theta, buffer, start = numpy.zeros(FEATURES), numpy.zeros(FEATURES), numpy.zeros(FEATURES)
    begun = time.perf_counter()
    for _ in range(steps):
        rows = random.integers(0, ROWS, BATCH)
        own = x[rows]
        buffer = BETA * buffer + own.T @ (own @ theta - y[rows]) / BATCH
        theta = theta - ETA * buffer
    ((theta - start) ** 2).sum()
    return (time.perf_counter() - begun) / steps


def batched(x, y, steps, chains=64):
    """Seconds a step and chain of many chains at once."""
    random = numpy.random.default_rng(2)
    theta, buffer = numpy.zeros((chains, FEATURES)), numpy.zeros((chains, FEATURES))
    begun = time.perf_counter()
    for _ in range(steps):
        rows = random.integers(0, ROWS, (chains, BATCH))
        own = x[rows]
        wrong = (own @ theta[:, :, None])[:, :, 0] - y[rows]
        buffer = BETA * buffer + (wrong[:, None, :] @ own)[:, 0] / BATCH
        theta = theta - ETA * buffer
    return (time.perf_counter() - begun) / steps / chains


def regression(rounds):
    x, y = data()
    ours, one, many = [], [], []
    for _ in range(rounds):
        ours.append(example("dynamics", "simulate", 400_000) / 400_000)
        one.append(loop(x, y, 20_000))
        many.append(batched(x, y, 1_000))
    ours = statistics.median(ours) * 1e6
    for peer, times in (("numpy loop", one), ("numpy, 64 chains", many)):
        theirs = statistics.median(times) * 1e6
        report("regression step, d 100, S 16", ours, theirs, peer, "us", f"{theirs / ours:.1f} x as fast")


def moments(rounds):
    for features, bar in ((20, 1.0), (200, 60.0)):
        ours = statistics.median(example("dynamics", "moments", features) for _ in range(rounds))
        report(f"exact moments, d {features}", ours, bar, "bar")


WORKFLOW = """\
stages:
  data:
    uses: ingest.arrays
    with: { arrays: { x: x.npy, label: label.npy } }
  directions:
    uses: ingest.arrays
    with: { arrays: { q: q.npy } }
  net:
    uses: model.build
    with: { architecture: ARCHITECTURE, seed: 0 }
  plain:
    uses: model.train
    threads: 1
    in: { model: net, data: data }
    with: &with { input: x, target: label, steps: STEPS, batch_size: 32, learning_rate: 0.01, momentum: 0.9 }
  recorded:
    uses: model.train
    threads: 1
    in: { model: net, data: data, directions: directions }
    with: { <<: *with, record: { every: 1, quantities: [displacement, step] } }
"""


def recording(rounds):
    """Nets by the number of their weights; the difference of many and few steps leaves out the start."""
    nets = {
        "64-24-10": ("mlp, input: [64], hidden: [24], classes: 10", (64,), 1810, 40_000),
        "64-256-256-10": ("mlp, input: [64], hidden: [256, 256], classes: 10", (64,), 85_002, 4_000),
        "lenet": ("lenet, input: [1, 28, 28], classes: 10", (1, 28, 28), 107_786, 400),
    }
    for name, (architecture, shape, weights, most) in nets.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / ".sulcus").mkdir()
            random = numpy.random.default_rng(0)
            numpy.save(folder / "x.npy", random.normal(size=(1024, *shape)).astype(numpy.float32))
            numpy.save(folder / "label.npy", random.integers(0, 10, 1024))
            q, _ = numpy.linalg.qr(random.normal(size=(weights, 30)))
            numpy.save(folder / "q.npy", numpy.ascontiguousarray(q.T).astype(numpy.float32))
            times = {"plain": [], "recorded": []}
            for _ in range(rounds):
                taken = {}
                for steps in (most // 5, most):
                    text = WORKFLOW.replace("STEPS", str(steps)).replace("ARCHITECTURE", architecture)
                    (folder / "sulcus.yaml").write_text(text)
                    events = [json.loads(l) for l in sulcus(folder, "run", "-j", "1", "--json", "-f", "plain", "recorded").splitlines()]
                    for event in events:
                        if event.get("event") == "executed":
                            taken[event["step"], steps] = event["seconds"]
                for step, found in times.items():
                    found.append((taken[step, most] - taken[step, most // 5]) / (most - most // 5))
            plain, recorded = (statistics.median(times[s]) * 1e6 for s in ("plain", "recorded"))
            report(f"recording, {name}", recorded, plain, "without", "us", f"+{100 * (recorded / plain - 1):.1f} % of a step")


def hessian(rounds, batch=32, threads=2):
    import onnxruntime
    import torch

    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / name for name in ("net.onnx", "products.onnx")]
        example("products", *paths)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(paths[1]), options, providers=["CPUExecutionProvider"])
    random = numpy.random.default_rng(0)
    x = random.normal(size=(batch, 3, 32, 32)).astype(numpy.float32)
    labels = random.integers(0, 10, batch)
    feed = {"data": x, "target": labels}
    for value in session.get_inputs():
        if value.name.startswith("vector."):
            feed[value.name] = random.normal(size=value.shape).astype(numpy.float32)
    wanted = [o.name for o in session.get_outputs() if o.name.startswith("product.")]

    torch.set_num_threads(threads)
    net = resnet(torch).eval()
    parameters = list(net.parameters())
    vectors = [torch.randn_like(p) for p in parameters]
    print("parameters", sum(p.numel() for p in parameters), sum(feed[n].size for n in feed if n.startswith("vector.")))
    inputs, targets = torch.tensor(x), torch.tensor(labels)
    ours, theirs = [], []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        session.run(wanted, feed)
        ours.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        loss = torch.nn.functional.cross_entropy(net(inputs), targets)
        gradients = torch.autograd.grad(loss, parameters, create_graph=True)
        torch.autograd.grad(gradients, parameters, grad_outputs=vectors)
        theirs.append(time.perf_counter() - begun)
    # The first round warms up.
    report(f"Hessian product, ResNet-18, {batch} images", statistics.median(ours[1:]), statistics.median(theirs[1:]), "torch")


def resnet(torch):
    """ResNet-18 with a 3×3 stem and no pooling, as `model.build` makes it for small images."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inside, outside, stride):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outside),
                nn.ReLU(),
                nn.Conv2d(outside, outside, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outside),
            )
            same = inside == outside and stride == 1
            self.around = nn.Identity() if same else nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

        def forward(self, x):
            return torch.relu(self.body(x) + self.around(x))

    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    inside = 64
    for stage, outside in enumerate((64, 128, 256, 512)):
        for block in range(2):
            layers.append(Block(inside, outside, 2 if stage and not block else 1))
            inside = outside
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    rounds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 3
    cases = {"regression": regression, "moments": moments, "recording": recording, "hessian": hessian}
    for case in arguments or cases:
        cases[case](rounds)
