#!/usr/bin/env python3
"""Makes camera-like JPEGs out of smaller photos, for the benchmarks of reading.

    photos.py SOURCE TARGET --count 40 --size 4000x3000 --bytes 2300000 [--progressive]

Each photo of SOURCE is cropped to the shape of the target, enlarged with Lanczos, sharpened, and given
noise as a sensor has it: finer than a pixel of the source, stronger in the dark, until the file at
quality 88, 4:2:0 has about --bytes (bisected for the first photos, then kept). Needs numpy and Pillow.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps


def enlarged(path, size):
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    image = ImageOps.fit(image, size, Image.LANCZOS)
    return image.filter(ImageFilter.UnsharpMask(radius=2, percent=50, threshold=2))


def encoded(image, sigma, seed, progressive):
    random = np.random.default_rng(seed)
    values = np.asarray(image, dtype=np.float32)
    strength = sigma * (1.2 - values.mean(axis=2, keepdims=True) / 300)
    # Half of the noise is common to the channels, as luminance noise is after demosaicing.
    shape = values.shape[:2]
    noise = random.standard_normal((*shape, 1), dtype=np.float32)
    noise = noise + 0.5 * random.standard_normal((*shape, 3), dtype=np.float32)
    noisy = np.clip(values + strength * noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(
        buffer, "JPEG", quality=88, subsampling="4:2:0", progressive=progressive, optimize=progressive
    )
    return buffer.getvalue()


def fitting_sigma(image, bytes_wanted, progressive):
    low, high = 0.0, 12.0
    for _ in range(5):
        middle = (low + high) / 2
        if len(encoded(image, middle, 0, progressive)) < bytes_wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--size", default="4000x3000")
    parser.add_argument("--bytes", type=int, default=2_300_000)
    parser.add_argument("--side-min", type=int, default=600, help="shorter side of a photo of SOURCE")
    parser.add_argument("--progressive", action="store_true")
    options = parser.parse_args()
    size = tuple(int(side) for side in options.size.split("x"))
    photos = sorted(p for p in options.source.rglob("*") if p.suffix in {".jpg", ".jpeg", ".webp", ".png"})
    photos = [path for path in photos if min(Image.open(path).size) >= options.side_min]
    options.target.mkdir(parents=True, exist_ok=True)
    sigmas, total = [], 0
    for index in range(options.count):
        path = photos[index % len(photos)]
        image = enlarged(path, size)
        if len(sigmas) < 5:
            sigmas.append(fitting_sigma(image, options.bytes, options.progressive))
        sigma = sigmas[index] if index < len(sigmas) else float(np.median(sigmas))
        data = encoded(image, sigma, index, options.progressive)
        total += len(data)
        (options.target / f"{index:04}-{path.stem}.jpg").write_bytes(data)
    print(f"{options.count} files, {total / options.count / 1e6:.2f} MB each, noise {np.median(sigmas):.2f}")


if __name__ == "__main__":
    main()
