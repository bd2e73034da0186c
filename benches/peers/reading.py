#!/usr/bin/env python3
"""Times how long JPEGs take from the bytes of their files to 224 x 224 px, against other libraries.

    reading.py READ_PHOTOS FOLDER [FOLDER ...] [--rounds 3]

READ_PHOTOS is the binary of `cargo build --release --example read_photos`. Every way reads the same files
(the first 40 of each folder), on one thread, in turn, round by round; printed is the median in ms an image.
The libraries are followed by a resize of OpenCV, Pillow by its own (0.5 to 1 ms each).
Needs numpy, Pillow, opencv-python-headless and PyTurboJPEG (below 2 for libjpeg-turbo 2).
"""

import argparse
import io
import re
import statistics
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from turbojpeg import TurboJPEG

SIDE = 224
FILES_MAX = 40


def ways():
    turbo = TurboJPEG()
    cv2.setNumThreads(1)

    def pillow_draft(data):
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (SIDE, SIDE))
        return image.convert("RGB").resize((SIDE, SIDE), Image.BICUBIC)

    def opencv(flag):
        def read(data):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
            return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

        return read

    def libjpeg_turbo(divisor):
        def read(data):
            image = turbo.decode(data, scaling_factor=(1, divisor))
            return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

        return read

    return {
        "libjpeg-turbo 1/8": libjpeg_turbo(8),
        "libjpeg-turbo 1/4": libjpeg_turbo(4),
        "libjpeg-turbo 1/2": libjpeg_turbo(2),
        "Pillow draft": pillow_draft,
        "OpenCV 1/8": opencv(cv2.IMREAD_REDUCED_COLOR_8),
        "OpenCV 1/4": opencv(cv2.IMREAD_REDUCED_COLOR_4),
    }


def ours(binary, folder):
    text = subprocess.run([binary, folder, "0"], check=True, capture_output=True, text=True).stdout
    return {name.strip(): float(ms) for name, ms in re.findall(r"^(\D+?) +([\d.]+) ms$", text, re.M)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for folder in options.folders:
        files = [path.read_bytes() for path in sorted(folder.iterdir())[:FILES_MAX]]
        times = {}
        for _ in range(options.rounds):
            for name, value in ours(options.binary, folder).items():
                times.setdefault(f"lookalike {name}", []).append(value)
            for name, way in ways().items():
                start = time.perf_counter()
                for data in files:
                    way(data)
                times.setdefault(name, []).append((time.perf_counter() - start) * 1e3 / len(files))
        print(folder.name)
        for name, values in times.items():
            print(f"  {name:<28} {statistics.median(values):7.2f} ms")


if __name__ == "__main__":
    main()
