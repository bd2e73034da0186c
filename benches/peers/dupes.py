"""How many edits of photos are recognised at no false match among the photos themselves.

Makes edits of the photos that are named (resize, JPEG, crops, turn, mirror, brightness, watermark),
runs the example `duplicates` (lookalike's fingerprints, embeddings alone, and the hashes of the
crate image_hasher, which czkawka uses) and imagededup's hashes over them, and prints a table.
A pair of edit and photo is found when it scores above every pair of two photos.

imagededup's CNN is not among them: its weights come from the network only.

    pip install pillow imagededup
    python3 benches/peers/dupes.py target/release/examples/duplicates FOLDER PHOTO...

FOLDER must not be there yet. No two of the photos may be the same picture.
"""

import json
import os
import random
import subprocess
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

SIDE_MAX = 1600


def cropped(image, share, rng):
    width, height = image.size
    scale = (1 - share) ** 0.5
    w, h = round(width * scale), round(height * scale)
    x, y = rng.randint(0, width - w), rng.randint(0, height - h)
    return image.crop((x, y, x + w, y + h))


def watermarked(image):
    image = image.convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    font = ImageFont.load_default(size=max(10, image.width // 8))
    box = draw.textbbox((0, 0), "lookalike", font=font)
    at = ((image.width - box[2]) / 2, (image.height - box[3]) / 2)
    draw.text(at, "lookalike", font=font, fill=(255, 255, 255, 160))
    return Image.alpha_composite(image, layer).convert("RGB")


def reduced(image, by):
    size = (max(1, image.width // by), max(1, image.height // by))
    return image.resize(size, Image.Resampling.LANCZOS)


EDITS = {
    "resize 1/2": lambda image, rng: reduced(image, 2),
    "resize 1/4": lambda image, rng: reduced(image, 4),
    "JPEG 30": lambda image, rng: image,
    "crop 10 %": lambda image, rng: cropped(image, 0.10, rng),
    "crop 25 %": lambda image, rng: cropped(image, 0.25, rng),
    "rotate 90": lambda image, rng: image.transpose(Image.Transpose.ROTATE_90),
    "mirror": lambda image, rng: ImageOps.mirror(image),
    "brightness": lambda image, rng: ImageEnhance.Brightness(image).enhance(1.3),
    "watermark": lambda image, rng: watermarked(image),
}


def make(folder, photos):
    for number, path in enumerate(photos):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        image.thumbnail((SIDE_MAX, SIDE_MAX))
        name = f"{number:03}.jpg"
        rng = random.Random(number)
        save(image, os.path.join(folder, "originals", name), 95)
        for edit, apply in EDITS.items():
            quality = 30 if edit == "JPEG 30" else 90
            directory = edit.replace("/", "_")
            save(apply(image, rng), os.path.join(folder, directory, name), quality)


def save(image, path, quality):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image.save(path, quality=quality)


def imagededup(folder):
    from imagededup.methods import AHash, DHash, PHash, WHash

    def bits(method, directory):
        names = sorted(os.listdir(os.path.join(folder, directory)))
        paths = (os.path.join(folder, directory, name) for name in names)
        hashes = [method.encode_image(image_file=path) for path in paths]
        return np.array([[int(bit) for bit in f"{int(h, 16):064b}"] for h in hashes])

    table = {}
    for method in (PHash, DHash, AHash, WHash):
        method = method(verbose=False)
        originals = bits(method, "originals")
        apart = (originals[:, None] != originals[None]).sum(2)
        least = apart[~np.eye(len(originals), dtype=bool)].min()
        shares = {}
        for edit in EDITS:
            edited = bits(method, edit.replace("/", "_"))
            shares[edit] = float(((originals != edited).sum(1) < least).mean())
        table[f"imagededup {type(method).__name__}"] = shares
    return table


def main():
    binary, folder, *photos = sys.argv[1:]
    make(folder, photos)
    table = json.loads(subprocess.check_output([binary, folder]))
    for shares in table.values():
        for edit in EDITS:
            shares[edit] = shares.pop(edit.replace("/", "_"))
    table.update(imagededup(folder))
    print(f"{len(photos)} photos, share of edits above every pair of photos")
    print("| | " + " | ".join(EDITS) + " |")
    print("| --- |" + " --- |" * len(EDITS))
    for name, shares in table.items():
        print(f"| {name} | " + " | ".join(f"{shares[edit]:.2f}" for edit in EDITS) + " |")
    print({key: value for key, value in table["lookalike"].items() if key not in EDITS})


if __name__ == "__main__":
    main()
