"""`lrp.mask` of VGG-16 at 224 x 224 against the bare forward passes of as many images in ONNX Runtime, both on
the same number of threads, taking turns.

usage: masking.py [IMAGES] [FRACTIONS] [ROUNDS] [THREADS]    (SULCUS names the binary)
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

from common import ROOT

SULCUS = os.environ.get("SULCUS", str(ROOT / "target" / "release" / "sulcus"))
BATCH = 13
WORKFLOW = """
name: masking
params: {{ seed: 0 }}
stages:
  images: {{ uses: ingest.arrays, with: {{ arrays: {{ image: images.npy, label: labels.npy }} }} }}
  maps: {{ uses: ingest.arrays, with: {{ arrays: {{ relevance: maps.npy }} }} }}
  net:
    uses: model.build
    with: {{ architecture: vgg, depth: 16, input: [3, 224, 224], classes: 1000, hidden: [4096, 4096], seed: 0 }}
  masked:
    uses: lrp.mask
    threads: {threads}
    in: {{ model: net, data: images, maps: maps }}
    with: {{ orders: [most], fractions: {fractions}, resamples: 100, seed: "${{params.seed}}" }}
"""


def main():
    images, fractions, rounds, threads = (int(a) for a in (sys.argv[1:] + ["5", "10", "3", "2"][len(sys.argv) - 1 :]))
    random = numpy.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        numpy.save(f"{folder}/images.npy", random.standard_normal((images, 3, 224, 224), dtype=numpy.float32))
        numpy.save(f"{folder}/maps.npy", random.standard_normal((images, 224, 224), dtype=numpy.float32))
        numpy.save(f"{folder}/labels.npy", random.integers(0, 1000, images))
        shares = [round(i / fractions, 4) for i in range(fractions)]
        with open(f"{folder}/sulcus.yaml", "w") as file:
            file.write(WORKFLOW.format(threads=threads, fractions=shares))
        run = lambda *more: subprocess.run([SULCUS, "run", "-q", *more], cwd=folder, check=True, capture_output=True)
        run("net", "images", "maps")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = str(next(pathlib.Path(folder, "results").rglob("*.onnx")))
        x = random.standard_normal((BATCH, 3, 224, 224), dtype=numpy.float32)

        def bare():
            begun = time.perf_counter()
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for first in range(0, images * fractions, BATCH):
                session.run(None, {session.get_inputs()[0].name: x[: min(BATCH, images * fractions - first)]})
            return time.perf_counter() - begun

        def ours(seed):
            begun = time.perf_counter()
            run("masked", "-p", f"seed={seed}")
            return time.perf_counter() - begun

        pairs = [(ours(seed), bare()) for seed in range(1, rounds + 1)]
        ratios = [a / b for a, b in pairs]
        print(json.dumps({
            "masked_images": images * fractions,
            "seconds": statistics.median(a for a, _ in pairs),
            "bare_seconds": statistics.median(b for _, b in pairs),
            "ratio": statistics.median(ratios),
            "range": [min(ratios), max(ratios)],
        }))


main()
