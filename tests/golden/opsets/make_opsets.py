"""One net as two exporters of torch and one of Keras write it, with the maps that zennit draws of it.

    python tests/golden/opsets/make_opsets.py    # torch, onnx, onnxscript, zennit, tensorflow, tf2onnx

Weights are drawn once from a seed and given to both frameworks; a file whose answer is not the net's is refused.
"""

import os
from pathlib import Path

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn
from zennit.core import Composite
from zennit.rules import AlphaBeta, Epsilon, Flat, Gamma, Norm, Pass, ZBox, ZPlus

HERE = Path(__file__).parent
LOW, HIGH = -4.0, 4.0


class Branches(nn.Module):
    """Two branches (grouped, dilated) of one convolution, pools that overlap; batch normalisation after
    three convolutions, and one that stands alone behind an activation."""

    def __init__(self):
        super().__init__()
        self.a, self.an = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.b, self.bn = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(4)
        self.c, self.cn = nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.BatchNorm2d(4)
        self.d, self.dn = nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.25)
        self.largest, self.mean = nn.MaxPool2d(3, stride=2), nn.AvgPool2d(3, stride=2)
        self.e, self.f = nn.Linear(20, 6), nn.Linear(6, 3)

    def logits(self, x):
        x = F.relu(self.an(self.a(x)))
        x = torch.cat([F.relu(self.bn(self.b(x))), self.cn(F.relu(self.c(x)))], 1)
        x = self.drop(self.largest(F.pad(x, (0, 1, 0, 1))))
        x = self.mean(F.relu6(self.dn(self.d(x))))
        x = torch.cat([torch.flatten(x, 1), x.mean((2, 3))], 1)
        return self.f(F.relu(self.e(x)))

    def forward(self, x):
        return torch.softmax(self.logits(x), 1)


def net():
    torch.manual_seed(5)
    made = Branches()
    for norm in [made.an, made.bn, made.cn, made.dn]:
        for value, low, high in [(norm.weight, 0.5, 1.5), (norm.running_var, 0.5, 1.5)]:
            value.data.uniform_(low, high)
        norm.bias.data.normal_(0.0, 0.2)
        norm.running_mean.normal_(0.0, 0.2)
    return made.eval()


class Merged(nn.Module):
    """The same net with batch normalisations merged into their convolutions, in float64; every layer a module."""

    def __init__(self, net):
        super().__init__()

        def merged(conv, norm):
            made = nn.Conv2d(
                conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding, groups=conv.groups
            )
            scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
            bias = 0.0 if conv.bias is None else conv.bias.double()
            made.double()
            made.weight.data = conv.weight.double() * scale[:, None, None, None]
            made.bias.data = (bias - norm.running_mean.double()) * scale + norm.bias.double()
            return made

        self.a, self.b, self.d = merged(net.a, net.an), merged(net.b, net.bn), merged(net.d, net.dn)
        self.cn = nn.BatchNorm2d(4)
        self.cn.load_state_dict(net.cn.state_dict())
        for name in ["c", "e", "f"]:
            own = getattr(net, name)
            made = nn.Conv2d(4, 4, 3, padding=2, dilation=2) if name == "c" else nn.Linear(*own.weight.shape[::-1])
            made.load_state_dict(own.state_dict())
            setattr(self, name, made)
        self.relu_a, self.relu_b, self.relu_c, self.relu_d, self.relu_e = (nn.ReLU() for _ in range(5))
        self.largest, self.mean = nn.MaxPool2d(3, stride=2), nn.AvgPool2d(3, stride=2)
        self.whole = nn.AdaptiveAvgPool2d(1)
        self.double().eval()

    def forward(self, x):
        x = self.relu_a(self.a(x))
        x = torch.cat([self.relu_b(self.b(x)), self.cn(self.relu_c(self.c(x)))], 1)
        x = self.largest(F.pad(x, (0, 1, 0, 1)))
        x = self.relu_d(self.d(x))
        assert x.max() < 6.0
        x = self.mean(x)
        x = torch.cat([torch.flatten(x, 1), torch.flatten(self.whole(x), 1)], 1)
        return self.f(self.relu_e(self.e(x)))


def maps(net, x, dtype=torch.float64):
    """Relevance from 1 at the largest logit, by zennit."""
    made, x = Merged(net).to(dtype), x.to(dtype)
    logits = made(x).detach()
    start = F.one_hot(logits.argmax(1), 3).to(dtype)
    box = ZBox(torch.full_like(x, LOW), torch.full_like(x, HIGH))
    rules = {
        "epsilon": (Epsilon(), Epsilon()),
        "epsilon_plus": (ZPlus(), ZPlus()),
        "epsilon_gamma_box": (box, Gamma(0.25)),
        "epsilon_alpha2_beta1_flat": (Flat(), AlphaBeta(2, 1)),
    }
    found = {}
    for name, (first, other) in rules.items():

        def rule(_context, layer, module, first=first, other=other):
            if isinstance(module, (nn.ReLU, nn.BatchNorm2d)):
                return Pass()
            if isinstance(module, (nn.AvgPool2d, nn.AdaptiveAvgPool2d)):
                return Norm()
            return {"a": first, "b": other, "c": other, "d": other, "e": Epsilon(), "f": Epsilon()}.get(layer)

        leaf = x.clone().requires_grad_()
        with Composite(module_map=rule).context(made) as changed:
            (found[name],) = torch.autograd.grad(changed(leaf), leaf, start)
    leaf = x.clone().requires_grad_()
    (found["gradient"],) = torch.autograd.grad(made(leaf), leaf, start)
    return logits, {name: value.detach().numpy() for name, value in found.items()}


def well_conditioned(net, x, count):
    """The inputs whose maps float32 changes least: where a denominator is near zero, nothing can be compared."""
    (_, double), (_, single) = maps(net, x), maps(net, x, torch.float32)
    axes = (1, 2, 3)
    apart = [np.abs(single[name] - d).max(axes) / np.abs(d).max(axes) for name, d in double.items()]
    worst = np.max(apart, axis=0)
    best = np.sort(np.argsort(worst)[:count])
    print(f"float32 zennit differs by {worst[best].max():.1e} at most, {worst.max():.1e} in all {len(x)}")
    return x[best]


def checked(path, x, wanted):
    """Refuses a file that does not compute the net; takes out where in whose files each node was written."""
    model = onnx.load(path)
    graph = model.graph
    for part in [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output]:
        del part.metadata_props[:]
        part.ClearField("doc_string")
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (shape,) = [i.shape for i in session.get_inputs()]
    feed = np.moveaxis(x, 1, -1) if shape[-1] == 2 else x
    (found,) = session.run(None, {session.get_inputs()[0].name: feed})
    error = np.abs(found - wanted).max()
    opset = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    ops = sorted({n.op_type for n in graph.node})
    print(f"{path.name}: opset {opset}, {os.path.getsize(path)} bytes, error {error:.1e}, {' '.join(ops)}", flush=True)
    assert error < 1e-5, path


def torch_script(net, x, wanted):
    for opset in range(7, 23):
        # From 12 on a dropout that is kept says that it trains, which is no answer to explain.
        for kind in ["unfolded"] + ["folded"] * (opset > 8) + ["dropout"] * (8 < opset < 12):
            keep = kind != "folded"
            net.drop.train(kind == "dropout")
            training = torch.onnx.TrainingMode.PRESERVE if keep else torch.onnx.TrainingMode.EVAL
            path = HERE / f"torch_script_{opset:02}_{kind}.onnx"
            torch.onnx.export(
                net, x, path, opset_version=opset, dynamo=False, input_names=["x"], output_names=["y"],
                dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, do_constant_folding=not keep, training=training,
            )
            net.eval()
            checked(path, x.numpy(), wanted)


def converted(x, wanted):
    """Dropout in its newer form, as the standard's own converter of operator sets writes it."""
    old = onnx.load(HERE / "torch_script_11_dropout.onnx")
    for opset in [12, 13, 22]:
        path = HERE / f"converted_{opset}_dropout.onnx"
        onnx.save(onnx.version_converter.convert_version(old, opset), path)
        checked(path, x.numpy(), wanted)


def torch_dynamo(net, x, wanted):
    batch = {"x": {0: torch.export.Dim("N", min=1, max=64)}}
    # Asked for an older set than 18 it writes 18.
    for opset in range(18, 25):
        for kind in ["plain"] + ["optimised"] * (opset < 23):
            path = HERE / f"torch_dynamo_{opset}_{kind}.onnx"
            torch.onnx.export(
                net, (x,), path, opset_version=opset, dynamo=True, input_names=["x"], output_names=["y"],
                dynamic_shapes=batch, external_data=False, optimize=kind == "optimised",
            )
            checked(path, x.numpy(), wanted)


def keras(net, x, wanted):
    import tensorflow as tf
    import tf2onnx

    layers = tf.keras.layers

    class Grouped(layers.Layer):
        """Keras compiles a `Conv2D` with groups by XLA, which tf2onnx does not read; TensorFlow's op has groups too."""

        def build(self, shape):
            self.kernel = self.add_weight(shape=(3, 3, shape[-1] // 2, 4), name="kernel")

        def call(self, x):
            return tf.nn.conv2d(x, self.kernel, 1, "SAME")

    def conv(own, norm, **more):
        made = layers.Conv2D(own.out_channels, own.kernel_size, use_bias=own.bias is not None, **more)
        made = made if own.groups == 1 else Grouped()
        values = [own.weight.permute(2, 3, 1, 0)] + ([] if own.bias is None else [own.bias])
        weights.append((made, values))
        return [made] if norm is None else [made, normalisation(norm)]

    def normalisation(norm):
        made = layers.BatchNormalization(epsilon=norm.eps)
        weights.append((made, [norm.weight, norm.bias, norm.running_mean, norm.running_var]))
        return made

    def through(parts, h):
        for part in parts:
            h = part(h)
        return h

    weights = []
    inputs = tf.keras.Input((12, 12, 2), name="x")
    h = layers.ReLU()(through(conv(net.a, net.an, padding="same"), inputs))
    left = layers.ReLU()(through(conv(net.b, net.bn, padding="same"), h))
    right = layers.ReLU()(through(conv(net.c, None, padding="same", dilation_rate=2), h))
    right = normalisation(net.cn)(right)
    h = layers.ZeroPadding2D(((0, 1), (0, 1)))(layers.Concatenate()([left, right]))
    h = layers.Dropout(0.25)(layers.MaxPooling2D(3, strides=2)(h))
    h = layers.ReLU(max_value=6.0)(through(conv(net.d, net.dn), h))
    h = layers.AveragePooling2D(3, strides=2)(h)
    h = layers.Concatenate()([layers.Flatten()(h), layers.GlobalAveragePooling2D()(h)])
    dense = [layers.Dense(6, activation="relu"), layers.Dense(3, activation="softmax")]
    model = tf.keras.Model(inputs, through(dense, h))
    # Flattened places are channels last here and first there.
    turned = net.e.weight.clone()
    turned[:, :16] = net.e.weight[:, :16].reshape(6, 4, 4).permute(0, 2, 1).reshape(6, 16)
    weights += [(dense[0], [turned.T, net.e.bias]), (dense[1], [net.f.weight.T, net.f.bias])]
    for layer, values in weights:
        layer.set_weights([v.detach().numpy() for v in values])
    signature = [tf.TensorSpec((None, 12, 12, 2), tf.float32, name="x")]
    call = tf.function(lambda x: model(x, training=False))
    for opset in [9, 10, 11, 12, 13, 15, 17, 18]:
        proto, _ = tf2onnx.convert.from_function(call, input_signature=signature, opset=opset)
        path = HERE / f"keras_{opset:02}.onnx"
        path.write_bytes(proto.SerializeToString())
        checked(path, x.numpy(), wanted)
    proto, _ = tf2onnx.convert.from_function(call, input_signature=signature, opset=13, inputs_as_nchw=["x"])
    path = HERE / "keras_13_nchw.onnx"
    path.write_bytes(proto.SerializeToString())
    checked(path, x.numpy(), wanted)


def main():
    made = net()
    x = torch.randn((24, 2, 12, 12), generator=torch.Generator().manual_seed(0)).clamp(LOW, HIGH)
    x = well_conditioned(made, x, 3)
    logits, found = maps(made, x)
    wanted = made(x).detach().numpy()
    assert np.abs(torch.softmax(logits, 1).numpy() - wanted).max() < 1e-6
    last = np.ascontiguousarray(np.moveaxis(x.numpy(), 1, -1))
    np.savez_compressed(HERE / "maps.npz", input=x.numpy(), input_last=last, logits=logits.numpy(), **found)
    for old in HERE.glob("*.onnx"):
        old.unlink()
    torch_script(made, x, wanted)
    converted(x, wanted)
    torch_dynamo(made, x, wanted)
    keras(made, x, wanted)


main()
