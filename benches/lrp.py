"""Attribution of VGG-16 at 224 x 224, forward pass included, as a multiple of ONNX Runtime's forward pass in
the same run; zennit and captum beside it, as multiples of torch's forward pass and of ours.

Each side runs in a process of its own, which says how much memory it took at its peak; the rounds of all
sides take turns.

usage: lrp.py [BATCH] [ROUNDS] [THREADS] [SIDE…]
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

from common import ROOT

COMPOSITES = ["epsilon", "epsilon_plus_flat", "epsilon_gamma_box", "gradient"]
SIDES = ["forward", *COMPOSITES, "torch", *(f"zennit:{name}" for name in COMPOSITES[:3]), "captum:epsilon"]
RELEVANCE = ROOT / "target" / "release" / "examples" / "relevance"


def onnx(path, x, threads, ours):
    """A call of one ONNX graph; with our settings (src/model/session.rs) or those that the runtime begins with."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if ours:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"input": x}
    if any(i.name == "start" for i in session.get_inputs()):
        feed["start"] = numpy.eye(1000, dtype=numpy.float32)[[1] * len(x)]
    return lambda: session.run(None, feed)


def torch_side(side, x, threads):
    """A call of torch, zennit or captum."""
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = torchvision.models.vgg16(weights=None).eval()
    x = torch.from_numpy(x)
    start = torch.eye(1000)[[1] * len(x)]
    if side == "torch":

        def forward():
            with torch.no_grad():
                net(x)

        return forward
    if side.startswith("captum"):
        from captum.attr import LRP

        method = LRP(net)
        return lambda: method.attribute(x, target=1)
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonGammaBox, EpsilonPlusFlat
    from zennit.core import Composite
    from zennit.rules import Epsilon, Norm, Pass
    from zennit.types import Activation, AvgPool, Linear

    def epsilon():
        def rule(_context, _name, module):
            for kind, made in [(Activation, Pass), (AvgPool, Norm), (Linear, Epsilon)]:
                if isinstance(module, kind):
                    return made()
            return None

        return Composite(module_map=rule)

    composite = {
        "epsilon": epsilon,
        "epsilon_plus_flat": EpsilonPlusFlat,
        "epsilon_gamma_box": lambda: EpsilonGammaBox(low=torch.full_like(x, -2.5), high=torch.full_like(x, 2.5)),
    }[side.split(":")[1]]()

    def attribute():
        with Gradient(model=net, composite=composite) as attributor:
            attributor(x, start)

    return attribute


def serve(side, folder, batch, threads):
    """Runs the side once for every line of input; says its seconds, at last its peak memory in bytes."""
    x = numpy.random.default_rng(0).standard_normal((batch, 3, 224, 224), dtype=numpy.float32)
    if side in ("forward", *COMPOSITES):
        call = onnx(f"{folder}/{side}.onnx", x, threads, side != "forward")
    else:
        call = torch_side(side, x, threads)
    call()
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        call()
        print(json.dumps([time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]), flush=True)


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    batch, rounds, threads = (int(text) for text in (sys.argv[1:4] + ["1", "5", "2"][len(sys.argv[1:4]) :]))
    sides = sys.argv[4:] or SIDES
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        made = [side for side in sides if side in COMPOSITES]
        subprocess.run([os.environ.get("RELEVANCE", RELEVANCE), folder, "224", *made], check=True)
        command = lambda side: [sys.executable, __file__, "--serve", side, folder, str(batch), str(threads)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running = {}
        for side in sides:
            running[side] = subprocess.Popen(command(side), cwd=pathlib.Path(__file__).parent, **pipes)
            assert running[side].stdout.readline() == "ready\n", side
        times, memory = {side: [] for side in sides}, {}
        for _ in range(rounds):
            for side, process in running.items():
                process.stdin.write("\n")
                process.stdin.flush()
                seconds, memory[side] = json.loads(process.stdout.readline())
                times[side].append(seconds)
        for process in running.values():
            process.stdin.close()
            process.wait()
    median = {side: statistics.median(found) for side, found in times.items()}
    for side in sides:
        ratio = statistics.median(a / b for a, b in zip(times[side], times["forward"]))
        low, high = (f(a / b for a, b in zip(times[side], times["forward"])) for f in (min, max))
        print(f"{side:26} {median[side]:8.3f} s  {ratio:6.2f} x forward ({low:.2f}-{high:.2f})  {memory[side] / 2**20:8.0f} MiB")


main()
