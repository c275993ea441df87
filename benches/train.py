"""A training step of `model.train` against torch eager: time, and the most memory that the process held.

Both run in processes of their own, in turns, with few and with many steps; the difference leaves out what they
need to start. ResNet-18 sees images of 3 × 32 × 32 in batches of 128, LeNet-5 of 1 × 28 × 28 and the network
64-64-10 rows of 64 in batches of 32; SGD with momentum, two threads (torch on small networks: the better of one
and two). The rows `64-64-10`, `784-128-10` and `20-32-10` record the squared displacement from the start at every
step, on both sides. `profile` runs the ResNet-18 step under ONNX Runtime's profiler, once, and sums by op.

usage: train.py [ROUNDS] [resnet18] [lenet] [mlp] [64-64-10] [784-128-10] [20-32-10] [profile]
needs: cargo build --release; torch and numpy; for `profile` onnxruntime and
`cargo build --release -p onnx-graph --example training`
"""

import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

from common import ROOT, SULCUS, report

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
    with: { input: x, target: label, steps: STEPS, batch_size: BATCH, learning_rate: 0.01, momentum: 0.9RECORD }
"""

# Network, shape of a row, rows, rows of a batch, few and many steps of ours, the part of them that torch does, and
# the numbers of threads that torch may choose from.
CASES = {
    "resnet18": ("resnet, input: [3, 32, 32]", (3, 32, 32), 512, 128, 2, 6, 1, [THREADS]),
    "lenet": ("lenet, input: [1, 28, 28]", (1, 28, 28), 1024, 32, 200, 1200, 1, [1, THREADS]),
    "mlp": ("mlp, input: [64], hidden: [64]", (64,), 1600, 32, 1000, 11000, 4, [1, THREADS]),
    "64-64-10": ("mlp, input: [64], hidden: [64]", (64,), 1600, 32, 1000, 11000, 4, [1, THREADS]),
    "784-128-10": ("mlp, input: [784], hidden: [128]", (784,), 1600, 32, 1000, 6000, 2, [1, THREADS]),
    "20-32-10": ("mlp, input: [20], hidden: [32]", (20,), 1600, 32, 1000, 21000, 8, [1, THREADS]),
}

# The cases that record the squared displacement at every step.
RECORDED = ["64-64-10", "784-128-10", "20-32-10"]
RECORD = ", record: { every: 1, quantities: [displacement] }"


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
    text = text.replace("RECORD", RECORD if case in RECORDED else "")
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
    perceptron = lambda a, b: nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 10))
    net = {
        "resnet18": lambda: resnet(torch),
        "lenet": lambda: nn.Sequential(*small, nn.MaxPool2d(2), nn.Flatten(), *dense),
        "mlp": lambda: perceptron(64, 64),
        "64-64-10": lambda: perceptron(64, 64),
        "784-128-10": lambda: perceptron(784, 128),
        "20-32-10": lambda: perceptron(20, 32),
    }[case]()
    x, label = torch.tensor(numpy.load("x.npy")), torch.tensor(numpy.load("label.npy"))
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss, batch = nn.CrossEntropyLoss(), CASES[case][3]
    weights = [p.detach() for p in net.parameters()]
    start, displacements = [w.clone() for w in weights], []
    begun, done = time.perf_counter(), 0
    while done < steps:
        order = torch.randperm(len(x))
        for at in range(0, min(len(x), (steps - done) * batch), batch):
            rows = order[at : at + batch]
            sgd.zero_grad()
            loss(net(x[rows]), label[rows]).backward()
            sgd.step()
            if case in RECORDED:
                # As few calls as torch has for it; the lists are squared and added behind the last step.
                displacements.append(torch._foreach_norm(torch._foreach_sub(weights, start)))
            done += 1
    if displacements:
        torch.stack([torch.stack(norms) for norms in displacements]).square().sum(1)
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
    spread += f", {1 / middle(ratios):.2f} × torch's steps/s"
    report(f"{case}: a step", middle(times["ours"]) * 1e3, middle(times["torch"]) * 1e3, "torch", "ms", spread)
    report(f"{case}: memory held", middle(memory["ours"]), middle(memory["torch"]), "torch", "MB")


def profile(batch=128, steps=3):
    """Milliseconds of a ResNet-18 step by op; the first step, which warms up, is left out."""
    import onnxruntime

    example = ROOT / "target" / "release" / "examples" / "training"
    example = os.environ.get("TRAINING", str(example))
    draw = numpy.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([example, "resnet18", str(batch), folder / "network.onnx", folder / "training.onnx"], check=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "profile")
        session = onnxruntime.InferenceSession(folder / "training.onnx", options, ["CPUExecutionProvider"])
        feed = {}
        for value in session.get_inputs():
            name, shape = value.name, [size if isinstance(size, int) else 1 for size in value.shape]
            if name.startswith("in.velocity.") or name.endswith((".running_mean", ".bias")):
                feed[name] = numpy.zeros(shape, numpy.float32)
            elif name.endswith(".running_var") or len(shape) == 1:
                feed[name] = numpy.ones(shape, numpy.float32)
            else:
                # As wide as torch draws them: no step over- or underflows.
                width = numpy.prod(shape[1:]) ** -0.5
                feed[name] = draw.uniform(-width, width, shape).astype(numpy.float32)
        feed["data"] = draw.standard_normal((batch, 3, 32, 32), dtype=numpy.float32)
        feed["target"] = draw.integers(0, 10, batch)
        feed["order"] = numpy.arange(batch)[None]
        feed["learning_rate"] = numpy.full(1, 0.01, numpy.float32)
        walls = []
        for _ in range(1 + steps):
            begun = time.perf_counter()
            session.run(None, feed)
            walls.append(time.perf_counter() - begun)
        events = json.loads(pathlib.Path(session.end_profiling()).read_text())
    # The loop's own event lasts as long as those of all nodes in it together: it would count them twice.
    runs = [e for e in events if e.get("cat") == "Session" and e["name"] == "model_run"]
    since = sorted(e["ts"] + e["dur"] for e in runs)[0]
    nodes = [e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time") and e["ts"] >= since]
    spent, calls = collections.Counter(), collections.Counter()
    for event in nodes:
        op = event["args"]["op_name"]
        if op != "Loop":
            spent[op] += event["dur"] / 1e3 / steps
            calls[op] += 1
    total, wall = sum(spent.values()), 1e3 * statistics.mean(walls[1:])
    print(f"resnet18, batch {batch}: {total:.1f} ms in ops of {wall:.1f} ms a step, under the profiler")
    for op, taken in spent.most_common():
        print(f"  {op:24} {taken:9.2f} ms {100 * taken / total:6.1f} % of all ops, {calls[op] // steps:4} nodes")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["torch"]:
        torch_steps(arguments[1], int(arguments[2]), int(arguments[3]))
    else:
        rounds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 5
        for case in arguments or [*CASES, "profile"]:
            if case == "profile":
                profile()
            else:
                compare(case, rounds)
