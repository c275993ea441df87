"""Small models as exporters write them, with an input and the framework's own output.

Run with the part to make, in an environment that has its packages:

    python tests/golden/exports/make_exports.py torch     # torch, onnx, onnxscript
    python tests/golden/exports/make_exports.py keras     # tensorflow, tf2onnx
    python tests/golden/exports/make_exports.py sklearn   # scikit-learn, skl2onnx

Each `<name>.onnx` has a `<name>.npz` beside it: `input`, `output` (float64 where the framework can), and
`name`, the output's name as bytes. The tests discover them by their names.
"""

import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent


def save(name, x, y, output):
    np.savez_compressed(
        OUT / f"{name}.npz",
        input=np.asarray(x, dtype=np.float32),
        output=np.asarray(y, dtype=np.float64),
        name=np.frombuffer(output.encode(), dtype=np.uint8),
    )


def forget_places(path):
    """Takes out where in whose files each node was written."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output]:
        del part.metadata_props[:]
        part.ClearField("doc_string")
    onnx.save(model, path)


def torch_models():
    import torch
    from torch import nn
    import torch.nn.functional as F

    torch.manual_seed(0)

    class Convolutional(nn.Module):
        """Groups, dilation, batch normalisation, dropout, both pools, a reshape by the batch's size."""

        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(2, 4, 3, stride=2, padding=1)
            self.n = nn.BatchNorm2d(4)
            self.b = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False)
            self.p = nn.PReLU(4)
            self.d = nn.Dropout(0.3)
            self.f = nn.Linear(16, 3)
            self.n.running_mean.normal_()
            self.n.running_var.uniform_(0.5, 1.5)

        def forward(self, x):
            x = F.leaky_relu(self.n(self.a(x)), 0.1)
            x = F.max_pool2d(self.p(self.b(x)), 3, stride=1, padding=1)
            x = torch.cat([F.avg_pool2d(x, 2), F.max_pool2d(x, 2)], 1)[:, 2:6]
            x = self.d(x).reshape(x.size(0), -1)
            return F.log_softmax(self.f(x), 1)

    class Attention(nn.Module):
        """Layer normalisation, products of stacks, split heads, GELU, a mean over tokens."""

        def __init__(self):
            super().__init__()
            self.n = nn.LayerNorm(8)
            self.qkv = nn.Linear(8, 24)
            self.o = nn.Linear(8, 8)
            self.f = nn.Linear(8, 3)

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = self.qkv(self.n(x)).reshape(b, t, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
            w = torch.softmax(q @ k.transpose(-2, -1) / 2.0, -1)
            x = x + self.o((w @ v).transpose(1, 2).reshape(b, t, c))
            return self.f(F.gelu(x).mean(1))

    class Decoder(nn.Module):
        """Transposed convolution, instance and group normalisation, nearest and linear resizing."""

        def __init__(self):
            super().__init__()
            self.t = nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1)
            self.i = nn.InstanceNorm2d(4, affine=True)
            self.g = nn.GroupNorm(2, 4)
            self.c = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            x = F.elu(self.i(self.t(x)))
            x = F.interpolate(self.g(x), scale_factor=2, mode="nearest")
            x = F.interpolate(F.softplus(self.c(x)), size=(5, 7), mode="bilinear", align_corners=False)
            return x.amax((2, 3))

    cases = [
        ("convolutional", Convolutional, (2, 2, 8, 8)),
        ("attention", Attention, (2, 5, 8)),
        ("decoder", Decoder, (2, 2, 4, 4)),
    ]
    for name, kind, shape in cases:
        model = kind().eval()
        x = torch.randn(shape)
        y = model.double()(x.double()).detach().numpy()
        model.float()
        wanted = {"convolutional": [9, 11, 13, 17, 20], "attention": [13, 17], "decoder": [11, 16]}[name]
        for opset in wanted:
            file = f"torch_{name}_ts{opset}"
            axes = {"x": {0: "N"}, "y": {0: "N"}}
            torch.onnx.export(
                model, x, OUT / f"{file}.onnx", opset_version=opset, dynamo=False, input_names=["x"],
                output_names=["y"], dynamic_axes=axes, do_constant_folding=opset % 2 == 0,
            )
            save(file, x, y, "y")
        for opset in [18, 21]:
            file = f"torch_{name}_dynamo{opset}"
            batch = {"x": {0: torch.export.Dim("N", min=1, max=64)}}
            torch.onnx.export(
                model, (x,), OUT / f"{file}.onnx", opset_version=opset, dynamo=True, input_names=["x"],
                output_names=["y"], dynamic_shapes=batch, external_data=False,
            )
            forget_places(OUT / f"{file}.onnx")
            save(file, x, y, "y")


def keras_models():
    import tensorflow as tf
    import tf2onnx

    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)
    inputs = tf.keras.Input((8, 8, 2), name="x")
    h = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(h)
    h = layers.AveragePooling2D(2, padding="same")(layers.Activation("elu")(h))
    h = layers.Flatten()(layers.Dropout(0.2)(h))
    model = tf.keras.Model(inputs, layers.Dense(3, activation="softmax")(h))
    for opset in [9, 13, 18]:
        signature = [tf.TensorSpec((None, 8, 8, 2), tf.float32, name="x")]
        proto, _ = tf2onnx.convert.from_function(
            tf.function(lambda x: model(x, training=False)), input_signature=signature, opset=opset
        )
        (OUT / f"keras_convolutional_{opset}.onnx").write_bytes(proto.SerializeToString())
        save(f"keras_convolutional_{opset}", x, model(x, training=False).numpy(), proto.graph.output[0].name)


def sklearn_models():
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    labels = np.abs(x[:, 0] + x[:, 1]).astype(np.int64).clip(0, 2)
    settings = {"hidden_layer_sizes": (6,), "max_iter": 50, "random_state": 0}
    regressor = MLPRegressor(activation="tanh", **settings).fit(x, x[:, :2] * 2.0)
    classifier = make_pipeline(StandardScaler(), MLPClassifier(**settings)).fit(x, labels)
    for name, model, y in [
        ("regressor", regressor, regressor.predict(x[:5])),
        ("classifier", classifier, classifier.predict_proba(x[:5])),
    ]:
        options = {id(model): {"zipmap": False}} if name == "classifier" else None
        proto = to_onnx(model, x[:1], options=options, target_opset={"": 15, "ai.onnx.ml": 3})
        (OUT / f"sklearn_{name}.onnx").write_bytes(proto.SerializeToString())
        save(f"sklearn_{name}", x[:5], y, proto.graph.output[-1].name)


if __name__ == "__main__":
    {"torch": torch_models, "keras": keras_models, "sklearn": sklearn_models}[sys.argv[1]]()
