"""Golden values of training, made with torch in float64 on the CPU.

Run `python tests/golden/make_training.py` with torch and numpy installed; it rewrites
`tests/golden/training/*.json`. The tests discover the files by their names:

- `op_*.json`            one ONNX node: inputs, gradient of its output, output, gradients of its inputs
- `architecture_*.json`  a network: parameters, a batch, loss and gradients
- `sgd_*.json`           a network trained: last parameters and some losses; its first ones come from the seed

Numbers are those of float64. Hyperparameters and data are rounded to float32 first, since an ONNX
graph holds them so. What would be large is made from its formula on both sides: `Random` below is
SplitMix64, as in `crates/onnx-graph/src/random.rs`.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

OUT = Path(__file__).parent / "training"
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


class Random:
    """SplitMix64, seeded as the Rust side does."""

    def __init__(self, seed):
        self.state = seed ^ 0x5851F42D4C957F2D
        self.bits()

    def bits(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def uniform(self):
        return (self.bits() >> 11) / (1 << 53)

    def below(self, n):
        return (self.bits() * n) >> 64

    def symmetric(self, shape, bound=1.0):
        """Uniform in ±bound, rounded to float32."""
        values = [(self.uniform() * 2.0 - 1.0) * bound for _ in range(int(np.prod(shape)))]
        return np.array(values, dtype=np.float32).reshape(shape)


def f32(value):
    return float(np.float32(value))


def numbers(tensor):
    """Twelve digits: well below what is compared."""
    return [float(f"{v:.12g}") for v in np.asarray(tensor, dtype=np.float64).ravel()]


def write(name, content):
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


# ---- single ops ----


def op(name, kind, shapes, torch_op, ints=None, **attributes):
    random = Random(len(name))
    inputs = [torch.tensor(random.symmetric(s), dtype=torch.float64, requires_grad=True) for s in shapes]
    output = torch_op(*inputs)
    dy = torch.tensor(random.symmetric(output.shape), dtype=torch.float64)
    gradients = torch.autograd.grad(output, inputs, dy)
    tensor = lambda t: {"dims": list(t.shape), "values": numbers(t.detach())}
    write(
        f"op_{name}",
        {
            "op": kind,
            "attributes": attributes,
            "ints": ints,
            "inputs": [tensor(x) for x in inputs],
            "dy": tensor(dy),
            "output": tensor(output),
            "gradients": [tensor(g) for g in gradients],
        },
    )


def ops():
    op("add_broadcast", "Add", [(2, 3, 4), (3, 1)], torch.add)
    op("sub_broadcast", "Sub", [(3, 1), (2, 3, 4)], torch.sub)
    op("mul_broadcast", "Mul", [(2, 3), (1, 3)], torch.mul)
    op("matmul", "MatMul", [(3, 4), (4, 2)], torch.matmul)
    op("matmul_stack", "MatMul", [(2, 3, 4), (4, 2)], torch.matmul)
    op("gemm", "Gemm", [(3, 4), (2, 4), (2,)], lambda x, w, b: F.linear(x, w, b), transB=1)
    op(
        "gemm_scaled",
        "Gemm",
        [(4, 3), (4, 2), (3, 1)],
        lambda a, b, c: 0.5 * a.T @ b - 1.5 * c,
        transA=1,
        alpha=0.5,
        beta=-1.5,
    )
    op("conv", "Conv", [(2, 3, 6, 5), (4, 3, 3, 3), (4,)], F.conv2d)
    op(
        "conv_stride_pad",
        "Conv",
        [(2, 2, 7, 6), (3, 2, 3, 2), (3,)],
        lambda x, w, b: F.conv2d(F.pad(x, (1, 0, 1, 2)), w, b, stride=(2, 3)),
        strides=[2, 3],
        pads=[1, 1, 2, 0],
    )
    op(
        "conv_dilation",
        "Conv",
        [(2, 2, 9, 8), (2, 2, 3, 3)],
        lambda x, w: F.conv2d(x, w, stride=2, padding=1, dilation=2),
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        dilations=[2, 2],
    )
    op("max_pool", "MaxPool", [(2, 2, 6, 6)], lambda x: F.max_pool2d(x, 2), kernel_shape=[2, 2], strides=[2, 2])
    op(
        "max_pool_overlap",
        "MaxPool",
        [(2, 2, 7, 6)],
        lambda x: F.max_pool2d(x, 3, stride=2, padding=1),
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
    )
    op("relu", "Relu", [(3, 4)], torch.relu)
    op("sigmoid", "Sigmoid", [(3, 4)], torch.sigmoid)
    op("tanh", "Tanh", [(3, 4)], torch.tanh)
    op("softmax", "Softmax", [(3, 4)], lambda x: torch.softmax(x, -1))
    op("softmax_inner", "Softmax", [(2, 3, 4)], lambda x: torch.softmax(x, 1), axis=1)
    op("log_softmax", "LogSoftmax", [(3, 4)], lambda x: torch.log_softmax(x, 1), axis=1)
    op("flatten", "Flatten", [(2, 3, 4)], lambda x: x.flatten(1))
    op("reshape", "Reshape", [(2, 3, 4)], lambda x: x.reshape(2, -1), ints=[0, -1])
    op("reduce_sum", "ReduceSum", [(2, 3, 4)], lambda x: x.sum(1), ints=[1], keepdims=0)
    op("reduce_mean", "ReduceMean", [(2, 3, 4)], lambda x: x.mean((0, 2), keepdim=True), ints=[0, -1])
    op("identity", "Identity", [(3, 4)], lambda x: x * 1.0)


# ---- networks ----


def activation(name):
    return {"Relu": torch.relu, "Tanh": torch.tanh, "Sigmoid": torch.sigmoid}[name]


def forward(architecture, p, act, x):
    if architecture == "lenet":
        pad = p["conv1.weight"].shape[-1] // 2
        for layer in ["conv1", "conv2"]:
            x = F.max_pool2d(act(F.conv2d(x, p[f"{layer}.weight"], p[f"{layer}.bias"], padding=pad)), 2)
    x = x.flatten(1)
    dense = sorted({name.split(".")[0] for name in p if name.startswith("fc")})
    for layer in dense[:-1]:
        x = act(F.linear(x, p[f"{layer}.weight"], p[f"{layer}.bias"]))
    return F.linear(x, p[f"{dense[-1]}.weight"], p[f"{dense[-1]}.bias"])


def shapes(architecture, spec):
    """Parameter shapes in the order in which their values are drawn."""
    layers = []
    width = int(np.prod(spec["input"]))
    if architecture == "lenet":
        channels, height, columns = spec["input"]
        k = 3 if min(height, columns) < 20 else 5
        layers = [("conv1", (6, channels, k, k)), ("conv2", (16, 6, k, k))]
        width = 16 * (height // 2 // 2) * (columns // 2 // 2)
    sizes = [width, *spec["hidden"], spec["classes"]]
    names = ["fc"] if architecture == "linear" else [f"fc{i + 1}" for i in range(len(sizes) - 1)]
    return layers + [(n, (b, a)) for n, a, b in zip(names, sizes, sizes[1:])]


def initial(architecture, spec, seed):
    """Weights and biases uniform in ±1/√fan_in: torch's default, from our own generator."""
    random, parameters = Random(seed), {}
    for name, shape in shapes(architecture, spec):
        bound = 1.0 / np.sqrt(np.prod(shape[1:]))
        for part, dims in [("weight", shape), ("bias", shape[:1])]:
            values = random.symmetric(dims, bound)
            parameters[f"{name}.{part}"] = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    return parameters


def loss_of(kind, output, target):
    if kind == "triplet":
        return F.triplet_margin_loss(output[0::3], output[1::3], output[2::3], margin=0.015625)
    if kind == "odd_one_out":
        first, second, odd = output[0::3], output[1::3], output[2::3]
        pairs = [(first * second).sum(1), (first * odd).sum(1), (second * odd).sum(1)]
        return F.cross_entropy(torch.stack(pairs, 1), torch.zeros(len(first), dtype=torch.long))
    return F.cross_entropy(output, target) if kind == "cross_entropy" else F.mse_loss(output, target)


def targets(kind, random, rows, classes):
    if kind == "cross_entropy":
        return torch.tensor([random.below(classes) for _ in range(rows)])
    return torch.tensor(random.symmetric((rows, classes)), dtype=torch.float64)


def architecture(name, spec, loss, rows=4, seed=5):
    parameters = initial(name, spec, seed)
    random = Random(seed + 1)
    data = torch.tensor(random.symmetric((rows, *spec["input"])), dtype=torch.float64)
    target = targets(loss, random, rows, spec["classes"])
    output = forward(name, parameters, activation(spec["activation"]), data)
    value = loss_of(loss, output, target)
    gradients = torch.autograd.grad(value, list(parameters.values()))
    write(
        f"architecture_{name}_{loss}",
        {
            "architecture": name,
            "spec": spec,
            "seed": seed,
            "loss": loss,
            "rows": rows,
            "data_seed": seed + 1,
            "output": numbers(output.detach()),
            "loss_value": value.item(),
            "parameters": {k: numbers(v.detach()) for k, v in parameters.items()},
            "gradients": {k: numbers(g) for k, g in zip(parameters, gradients)},
        },
    )


def architectures():
    for loss in ["cross_entropy", "mean_squared_error"]:
        for name, size, hidden in [("linear", [5], []), ("mlp", [5], [6, 4]), ("lenet", [1, 8, 8], [5, 4])]:
            spec = {"input": size, "classes": 3, "hidden": hidden, "activation": "Relu"}
            architecture(name, spec, loss)
    spec = {"input": [5], "classes": 3, "hidden": [6, 4], "activation": "Tanh"}
    architecture("mlp", spec, "odd_one_out", rows=6)
    architecture("mlp", spec, "triplet", rows=12)


# ---- training ----


def sgd(name, architecture, spec, loss, steps, rows, batch, rate, optimizer, seed=7):
    parameters = initial(architecture, spec, seed)
    random = Random(seed + 1)
    data = torch.tensor(random.symmetric((rows, *spec["input"])), dtype=torch.float64)
    target = targets(loss, random, rows, spec["classes"])
    order = [[random.below(rows) for _ in range(batch)] for _ in range(steps)]
    act, losses = activation(spec["activation"]), []
    settings = {k: f32(v) if isinstance(v, float) else v for k, v in optimizer.items()}
    kind = settings.pop("kind", "sgd")
    stepper = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind](
        list(parameters.values()), lr=f32(rate), **settings
    )
    for rows_of_step in order:
        stepper.zero_grad()
        value = loss_of(loss, forward(architecture, parameters, act, data[rows_of_step]), target[rows_of_step])
        value.backward()
        stepper.step()
        losses.append(value.item())
    every = max(1, steps // 20)
    write(
        f"sgd_{name}",
        {
            "architecture": architecture,
            "spec": spec,
            "seed": seed,
            "loss": loss,
            "data_seed": seed + 1,
            "rows": rows,
            "batch": batch,
            "steps": steps,
            "learning_rate": f32(rate),
            "optimizer": {"kind": kind, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False, **settings},
            "every": every,
            "losses": numbers(losses[::every]),
            "last": {k: numbers(v.detach()) for k, v in parameters.items()},
        },
    )


def training():
    mlp = {"input": [64], "classes": 10, "hidden": [64], "activation": "Relu"}
    # At a rate of 0.05 a unit switches within rounding: torch's own float32 then ends 5e-4 away from its
    # float64. At 0.02 it ends 2e-6 away, so that a runtime in float32 can be compared at 1e-4.
    sgd("mlp_1000", "mlp", mlp, "cross_entropy", 1000, 256, 32, 0.02, {"momentum": 0.9})
    small = {"input": [6], "classes": 3, "hidden": [8, 5], "activation": "Tanh"}
    sgd("plain", "mlp", small, "mean_squared_error", 60, 20, 5, 0.1, {})
    sgd("weight_decay", "mlp", small, "cross_entropy", 60, 20, 5, 0.1, {"weight_decay": 0.01})
    both = {"momentum": 0.8, "weight_decay": 0.02, "nesterov": True}
    sgd("nesterov_decay", "mlp", small, "cross_entropy", 60, 20, 5, 0.05, both)
    dampened = {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.02}
    sgd("dampening", "mlp", small, "cross_entropy", 60, 20, 5, 0.05, dampened)
    moments = {"betas": (f32(0.8), f32(0.97)), "eps": 1e-6, "weight_decay": 0.02}
    sgd("adam", "mlp", small, "cross_entropy", 60, 20, 5, 0.01, {"kind": "adam", **moments})
    sgd("adamw", "mlp", small, "cross_entropy", 60, 20, 5, 0.01, {"kind": "adamw", **moments})
    image = {"input": [1, 8, 8], "classes": 3, "hidden": [6, 5], "activation": "Relu"}
    sgd("lenet", "lenet", image, "cross_entropy", 40, 16, 4, 0.05, {"momentum": 0.9})


if __name__ == "__main__":
    for old in OUT.glob("*.json"):
        old.unlink()
    ops()
    architectures()
    training()
