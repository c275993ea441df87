"""Relevance maps of the net of torch_convolutional_*.onnx by zennit 0.5.1, in float64.

    python tests/golden/exports/make_maps.py    # torch, onnx, zennit

Weights and input are read from the files. Batch normalisation is merged into the convolution before it, exactly;
the explained tensor is the one before the softmax, the start is 1 at each row's largest logit.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from zennit.core import Composite
from zennit.rules import AlphaBeta, Epsilon, Flat, Gamma, Norm, Pass, ZBox, ZPlus

HERE = Path(__file__).parent
FILE = HERE / "torch_convolutional_ts17.onnx"
WEIGHTS = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()).double() for t in onnx.load(FILE).graph.initializer}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.r = nn.LeakyReLU(0.1)
        self.b = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False)
        self.p = nn.PReLU(4)
        self.overlapping = nn.MaxPool2d(3, stride=1, padding=1)
        self.mean, self.largest = nn.AvgPool2d(2), nn.MaxPool2d(2)
        self.f = nn.Linear(16, 3)

    def forward(self, x):
        x = self.overlapping(self.p(self.b(self.r(self.a(x)))))
        x = torch.cat([self.mean(x), self.largest(x)], 1)[:, 2:6]
        return self.f(x.flatten(1))


def net():
    made = Net().double()
    w = dict(WEIGHTS)
    scale = w["n.weight"] / torch.sqrt(w["n.running_var"] + 1e-5)
    w["a.weight"] = w["a.weight"] * scale[:, None, None, None]
    w["a.bias"] = (w["a.bias"] - w["n.running_mean"]) * scale + w["n.bias"]
    made.load_state_dict({k: v for k, v in w.items() if not k.startswith("n.")})
    return made.eval()


def composite(first, other):
    def rule(_context, name, module):
        if isinstance(module, (nn.LeakyReLU, nn.PReLU)):
            return Pass()
        if isinstance(module, nn.AvgPool2d):
            return Norm()
        return {"a": first, "b": other, "f": Epsilon()}.get(name)

    return Composite(module_map=rule)


def main():
    stored = np.load(HERE / "torch_convolutional_ts17.npz")
    x = torch.from_numpy(stored["input"]).double()
    model = net()
    logits = model(x).detach()
    assert np.abs(torch.log_softmax(logits, 1).numpy() - stored["output"]).max() < 1e-6
    start = torch.nn.functional.one_hot(logits.argmax(1), 3).double()
    rules = {
        "epsilon": (Epsilon(), Epsilon()),
        "epsilon_plus": (ZPlus(), ZPlus()),
        "epsilon_plus_flat": (Flat(), ZPlus()),
        "epsilon_alpha2_beta1": (AlphaBeta(2, 1), AlphaBeta(2, 1)),
        "epsilon_alpha2_beta1_flat": (Flat(), AlphaBeta(2, 1)),
        "epsilon_gamma_box": (ZBox(torch.full_like(x, -4.0), torch.full_like(x, 4.0)), Gamma(0.25)),
    }
    maps = {}
    for name, (first, other) in rules.items():
        leaf = x.clone().requires_grad_()
        with composite(first, other).context(model) as changed:
            (maps[name],) = torch.autograd.grad(changed(leaf), leaf, start)
    leaf = x.clone().requires_grad_()
    (maps["gradient"],) = torch.autograd.grad(model(leaf), leaf, start)
    arrays = {name: value.detach().numpy() for name, value in maps.items()}
    np.savez_compressed(HERE / "torch_convolutional.maps.npz", **arrays)


main()
