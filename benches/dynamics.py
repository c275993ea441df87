"""The dynamics of SGD against numpy and torch, all on one thread but the Hessian products.

Regression: time of the processor for a step of SGD with 100 features and batches of 16 against a numpy loop, and
against numpy with 64 chains at once. Leaps: 64 chains of 10⁶ steps with additive noise, recorded at 62 times, against
the numpy loop's time for 20,000 steps, counted up to as many. Moments: seconds of the exact stationary moments. Recording: what it costs `model.train`
to record lengths and 30 + 30 projections at every step. Hessian: one product on a ResNet-18 (3 × 32 × 32 images)
against torch's double backward, both with two threads and running statistics. Eigenpairs: the top of the spectrum of
such a net, by `dynamics.hessian` and by scipy's eigsh on torch's products; `width=16 images=64` makes it smaller.

usage: dynamics.py [ROUNDS] [regression] [leaps] [moments] [recording] [hessian] [eigenpairs] [width=N] [images=N]
needs: cargo build --release -p science --example dynamics; -p onnx-graph --example products
"""

import collections
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

# Before numpy is loaded: one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy

from common import SULCUS, report, sulcus

EXAMPLES = pathlib.Path(SULCUS).parent / "examples"
FEATURES, ROWS, BATCH = 100, 4096, 16
ETA, BETA = 0.01, 0.9


def example(name, *arguments):
    """The first number that an example prints."""
    done = subprocess.run([EXAMPLES / name, *map(str, arguments)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0]) if done.stdout else 0.0


def data(features=FEATURES):
    random = numpy.random.default_rng(1)
    x = random.normal(size=(ROWS, features)) * numpy.arange(1, features + 1) ** -0.5
    return x, x @ random.normal(size=features) + 0.5 * random.normal(size=ROWS)


def loop(x, y, steps):
    """Seconds of the processor for a step of one chain."""
    random = numpy.random.default_rng(2)
    theta, buffer, start = (numpy.zeros(x.shape[1]) for _ in range(3))
    begun = time.process_time()
    for _ in range(steps):
        rows = random.integers(0, ROWS, BATCH)
        own = x[rows]
        buffer = BETA * buffer + own.T @ (own @ theta - y[rows]) / BATCH
        theta = theta - ETA * buffer
    ((theta - start) ** 2).sum()
    return (time.process_time() - begun) / steps


def batched(x, y, steps, chains=64):
    """Seconds of the processor for a step and chain of many chains at once."""
    random = numpy.random.default_rng(2)
    theta, buffer = numpy.zeros((chains, FEATURES)), numpy.zeros((chains, FEATURES))
    begun = time.process_time()
    for _ in range(steps):
        rows = random.integers(0, ROWS, (chains, BATCH))
        own = x[rows]
        wrong = (own @ theta[:, :, None])[:, :, 0] - y[rows]
        buffer = BETA * buffer + (wrong[:, None, :] @ own)[:, 0] / BATCH
        theta = theta - ETA * buffer
    return (time.process_time() - begun) / steps / chains


def spent(command, *arguments):
    """Seconds of the processor that the programs of `command` take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def regression(rounds):
    x, y = data()
    ours, one, many = [], [], []
    for _ in range(rounds):
        # The difference of many and few steps leaves out the making of the data.
        ours.append((spent(example, "dynamics", "simulate", 1_000_000) - spent(example, "dynamics", "simulate", 100_000)) / 900_000)
        one.append(loop(x, y, 20_000))
        many.append(batched(x, y, 1_000))
    ours = statistics.median(ours) * 1e6
    for peer, times in (("numpy loop", one), ("numpy, 64 chains", many)):
        theirs = statistics.median(times) * 1e6
        report("regression step, d 100, S 16", ours, theirs, peer, "us", f"{theirs / ours:.1f} x as fast")


def leaps(rounds):
    for features in (20, FEATURES):
        x, y = data(features)
        ours, steps = [], []
        for _ in range(rounds):
            ours.append(example("dynamics", "leap", features))
            steps.append(64e6 * loop(x, y, 20_000))
        ours, steps = statistics.median(ours), statistics.median(steps)
        report(f"64 chains of 10^6 steps, d {features}", ours, steps, "numpy loop", "s", f"{steps / ours:.0f} x as fast")


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


EIGENPAIRS = """\
stages:
  data:
    uses: ingest.arrays
    with: { arrays: { x: x.npy, label: label.npy } }
  net:
    uses: model.build
    with: { architecture: resnet, depth: 18, width: WIDTH, input: [3, 32, 32], classes: 10, seed: 0 }
  top:
    uses: dynamics.hessian
    threads: THREADS
    in: { model: net, data: data }
    with: { input: x, target: label, largest: PAIRS, tolerance: 1.0e-3, batch_size: 64 }
"""


def eigenpairs(rounds, width=64, images=512, pairs=30, threads=1):
    """The top of the spectrum of an untrained ResNet-18, once, against scipy's eigsh on torch's products.

    Times are those of the processor, ours with everything that the workflow does.
    """
    import onnx
    import scipy.sparse.linalg
    import torch

    random = numpy.random.default_rng(0)
    x = random.normal(size=(images, 3, 32, 32)).astype(numpy.float32)
    labels = random.integers(0, 10, images)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / ".sulcus").mkdir()
        numpy.save(folder / "x.npy", x)
        numpy.save(folder / "label.npy", labels)
        text = EIGENPAIRS
        for name, value in (("WIDTH", width), ("PAIRS", pairs), ("THREADS", threads)):
            text = text.replace(name, str(value))
        (folder / "sulcus.yaml").write_text(text)
        taken = spent(sulcus, folder, "run", "-j", "1", "-q")
        names, values = shown(folder, "top.summary", 1)
        summary = dict(zip(names, values[0]))
        names, values = shown(folder, "top.spectrum", pairs)
        ours = numpy.array([float(row[names.index("eigenvalue")]) for row in values])
        network = onnx.load(next((folder / "results").rglob("net/model.onnx")))
    weights = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in network.graph.initializer}

    torch.set_num_threads(threads)
    net = resnet(torch, width).eval()
    net.load_state_dict({name: weights[name] for name in net.state_dict() if not name.endswith("tracked")}, strict=False)
    parameters = list(net.parameters())
    batches = list(zip(torch.tensor(x).split(64), torch.tensor(labels).split(64)))
    seconds = []

    def product(vector):
        begun = time.process_time()
        flat = torch.tensor(vector.ravel(), dtype=torch.float32)
        parts = [own.view_as(p) for own, p in zip(flat.split([p.numel() for p in parameters]), parameters)]
        total = 0
        for inputs, targets in batches:
            loss = torch.nn.functional.cross_entropy(net(inputs), targets)
            gradients = torch.autograd.grad(loss, parameters, create_graph=True)
            found = torch.autograd.grad(gradients, parameters, grad_outputs=parts)
            total = total + torch.cat([f.flatten() for f in found]).double() * len(targets) / images
        seconds.append(time.process_time() - begun)
        return total.numpy()

    size = sum(p.numel() for p in parameters)
    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=product, dtype=numpy.float64)
    theirs = scipy.sparse.linalg.eigsh(operator, k=pairs, which="LA", tol=1e-3, return_eigenvectors=False)[::-1]
    products = int(summary["products"])
    apart = numpy.abs(ours / theirs - 1).max()
    print(f"parameters {size}, images {images}, largest {ours[0]:.4g}, last {ours[-1]:.4g}")
    print(f"products: ours {products}, eigsh {len(seconds)}; relative residual {float(summary['relative_residual']):.2g}")
    more = f"eigenvalues at most {100 * apart:.3f} % apart"
    report(f"product of {pairs} pairs", taken / products, statistics.mean(seconds), "torch", "s", more)


def shown(folder, what, rows):
    """Names of columns and rows of a table."""
    found = json.loads(sulcus(folder, "show", "sulcus.yaml", what, "-n", str(rows), "--json"))
    return [c["name"] for c in found["facts"]["table"]["columns"]], found["rows"]


def resnet(torch, width=64):
    """ResNet-18 with a 3×3 stem and no pooling, layers named as `model.build` names them."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inside, outside, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outside)
            same = inside == outside and stride == 1
            self.downsample = nn.Identity() if same else nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))

    layers = {"conv1": nn.Conv2d(3, width, 3, 1, 1, bias=False), "bn1": nn.BatchNorm2d(width), "relu": nn.ReLU()}
    inside = width
    for stage, outside in enumerate((width, 2 * width, 4 * width, 8 * width)):
        stride = 2 if stage else 1
        layers[f"layer{stage + 1}"] = nn.Sequential(Block(inside, outside, stride), Block(outside, outside, 1))
        inside = outside
    layers.update(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(inside, 10))
    return nn.Sequential(collections.OrderedDict(layers))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    rounds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 3
    sizes = dict(a.split("=") for a in arguments if "=" in a)
    cases = {
        "regression": regression,
        "leaps": leaps,
        "moments": moments,
        "recording": recording,
        "hessian": hessian,
        "eigenpairs": lambda rounds: eigenpairs(rounds, **{name: int(value) for name, value in sizes.items()}),
    }
    for case in [a for a in arguments if "=" not in a] or cases:
        cases[case](rounds)
