"""Golden values of deep normalised networks, made with torch: `python make_deep.py` rewrites `*.npz`.

Each network lies beside them as `model.build` made it (`*.onnx`; 1/16 of the usual width). torchvision's network
of the same name takes its weights. Data are uniform in ±1, labels and batches come from the same generator as in
`crates/onnx-graph/src/random.rs`. What the arrays hold is said in README.md.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
import torchvision
from onnx import numpy_helper

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from make_training import Random  # noqa: E402

ROWS, BATCH, STEPS, CLASSES = 96, 32, 20, 10
RATE, MOMENTUM, DECAY = 0.02, 0.9, 5e-4
DATA_SEED, ORDER_SEED = 11, 12


def resnet18():
    net = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes=CLASSES)
    net.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    net.maxpool = torch.nn.Identity()
    return narrow(net)


def vgg11():
    net = torchvision.models.vgg11_bn(num_classes=CLASSES)
    net.avgpool = torch.nn.Identity()
    net.classifier = torch.nn.Sequential(torch.nn.Linear(512, CLASSES))
    return narrow(net)


def narrow(net, factor=16):
    """The same layers with fewer channels."""
    for name, layer in list(net.named_modules()):
        parent = net.get_submodule(name.rpartition(".")[0])
        part = name.rpartition(".")[2]
        if isinstance(layer, torch.nn.Conv2d):
            inside = 3 if layer.in_channels == 3 else layer.in_channels // factor
            new = torch.nn.Conv2d(
                inside, layer.out_channels // factor, layer.kernel_size, layer.stride, layer.padding,
                bias=layer.bias is not None,
            )
        elif isinstance(layer, torch.nn.BatchNorm2d):
            new = torch.nn.BatchNorm2d(layer.num_features // factor)
        elif isinstance(layer, torch.nn.Linear):
            new = torch.nn.Linear(layer.in_features // factor, layer.out_features)
        else:
            continue
        setattr(parent, part, new)
    return net


def orders(rows, batch, steps, seed):
    """Each epoch visits the rows in a new order."""
    random, pool, out = Random(seed), [], []
    while len(out) < steps:
        if len(pool) < batch:
            pool = list(range(rows))
            for i in range(rows - 1, 0, -1):
                j = random.below(i + 1)
                pool[i], pool[j] = pool[j], pool[i]
        out.append(pool[:batch])
        pool = pool[batch:]
    return out


def case(name, make, size):
    torch.set_num_threads(1)
    model = onnx.load(HERE / f"{name}.onnx")
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    random = Random(DATA_SEED)
    data = random.symmetric((ROWS, 3, size, size))
    labels = np.array([random.below(CLASSES) for _ in range(ROWS)])
    batches = orders(ROWS, BATCH, STEPS, ORDER_SEED)
    found = {}
    for kind in (torch.float64, torch.float32):
        net = make()
        state = {n: torch.tensor(weights[n].copy()) for n in net.state_dict() if not n.endswith("tracked")}
        print(net.load_state_dict(state, strict=False))
        net = net.to(kind).train()
        x = torch.tensor(data).to(kind)
        y = torch.tensor(labels)
        optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=MOMENTUM, weight_decay=DECAY)
        losses = []
        for step, rows in enumerate(batches):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            if step == 0:
                by_name = dict(net.named_parameters())
                names = [t.name for t in model.graph.initializer if t.name in by_name]
                gradient = torch.cat([by_name[n].grad.flatten() for n in names]).double().numpy()
                own = dict(net.named_buffers())
                running = [t.name for t in model.graph.initializer if t.name in own]
                statistics = torch.cat([own[n].flatten() for n in running]).double().numpy()
            optimizer.step()
            losses.append(loss.item())
        found[kind] = gradient, statistics, np.array(losses)
    gradient, statistics, losses = found[torch.float64]
    theirs = found[torch.float32]
    apart = lambda a, b: np.array([np.linalg.norm(a - b) / np.linalg.norm(b)])
    np.savez(
        HERE / f"{name}.npz",
        gradient=gradient.astype(np.float32),
        statistics=statistics.astype(np.float32),
        losses=losses,
        counts=np.array([ROWS, BATCH, STEPS, CLASSES, DATA_SEED, ORDER_SEED]),
        sgd=np.array([RATE, MOMENTUM, DECAY]),
        torch_float32_gradient_error=apart(theirs[0], gradient),
        torch_float32_loss_error=np.abs(theirs[2] - losses) / losses,
    )
    print(name, apart(theirs[0], gradient), apart(theirs[1], statistics), np.abs(theirs[2] - losses) / losses, losses)


case("resnet18", resnet18, 16)
case("vgg11", vgg11, 32)
