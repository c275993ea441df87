"""Relevance of the small attention model of `tests/golden/exports` by the authors' own functions
(`lxt.explicit.functional` of lxt 2.1), in float64 and with one stabiliser, 1e-6, throughout.

    python tests/golden/attention/make_maps.py     # torch, lxt, onnx

`maps.npz`: `input` [2, 5, 8], `target` [2], `relevance` [2, 5, 8]. Relevance starts at the target's logit.
lxt adds its stabiliser without a sign.
"""

from pathlib import Path

import lxt.explicit.functional as rule
import numpy as np
import onnx
import torch
from onnx import numpy_helper

HERE = Path(__file__).parent
EXPORT = HERE.parent / "exports" / "torch_attention_dynamo21"
EPSILON = 1e-6


class Same(torch.autograd.Function):
    """A function of each value alone passes relevance on as it is."""

    @staticmethod
    def forward(_context, x, function):
        return function(x)

    @staticmethod
    def backward(_context, relevance):
        return relevance, None


def model(x, weights):
    """The model with relevance in the place of gradients."""
    b, t, c = x.shape
    # `MatMul` holds its weights turned.
    dense = lambda x, w, bias: rule.linear_epsilon(x, weights[w].T, weights[bias], EPSILON)
    h = rule.layer_norm(x, weights["n.weight"], weights["n.bias"], 1e-5)
    h = dense(h, "val_3", "qkv.bias").reshape(b, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
    q, k, v = h.unbind(0)
    scores = Same.apply(rule.matmul(q, k.transpose(-2, -1), False, EPSILON), lambda x: x / 2)
    h = rule.matmul(rule.softmax(scores, -1), v, False, EPSILON)
    h = dense(h.transpose(1, 2).reshape(b, t, c), "val_31", "o.bias")
    h = Same.apply(rule.add2(x, h, False, EPSILON), torch.nn.functional.gelu)
    # lxt's stabiliser of a mean stands beside the sum.
    h = rule.mean(h, 1, False, t * EPSILON)
    return rule.linear_epsilon(h, weights["f.weight"], weights["f.bias"], EPSILON)


def main():
    initializer = onnx.load(f"{EXPORT}.onnx").graph.initializer
    weights = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in initializer}
    weights = {name: w.double() if w.is_floating_point() else w for name, w in weights.items()}
    case = np.load(f"{EXPORT}.npz")
    x = torch.tensor(case["input"]).double().requires_grad_()
    y = model(x, weights)
    assert np.allclose(y.detach().numpy(), case["output"], atol=1e-6)
    target = y.argmax(1)
    (relevance,) = torch.autograd.grad(y, x, torch.nn.functional.one_hot(target, 3) * y.detach())
    np.savez_compressed(HERE / "maps.npz", input=case["input"], target=target.numpy(), relevance=relevance.numpy())
    print(relevance.sum((1, 2)), y[range(2), target])


main()
