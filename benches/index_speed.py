#!/usr/bin/env python3
"""Images per second and peak memory of a whole `lookalike index`, by number of images.

usage: index_speed.py PROGRAM PHOTO_FOLDER [COUNT...]        (default counts: 100 1000)

Fills temporary folders with COUNT different files made from the photos of a
folder (a few bytes are added behind the end of each copy, which decoders skip
and which makes it another content), indexes each and prints a table. Needs
Python 3 on Linux and nothing else.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ENDINGS = {".jpg", ".jpeg"}


def fill(folder, photos, count):
    for number in range(count):
        photo = photos[number % len(photos)]
        target = folder / f"{number:06}{photo.suffix}"
        target.write_bytes(photo.read_bytes() + number.to_bytes(4, "little"))
        os.utime(target, (0, time.time() - 3600))


def peak_memory_mb(process):
    """Waits for a process and gives its largest resident set."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / 1024


def measure(program, photos, count):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        fill(folder, photos, count)
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen([program, "index", name, "--json", "--quiet"], stdout=out)
            peak = peak_memory_mb(process)
            assert process.returncode == 0, process.returncode
            out.seek(0)
            report = json.loads(out.read())
        assert report["embedded"] == count, report
        return report["seconds"], peak


def main():
    program, photo_folder, *counts = sys.argv[1:]
    photos = sorted(p for p in pathlib.Path(photo_folder).rglob("*") if p.suffix in ENDINGS)
    print(f"{'images':>8} {'seconds':>8} {'images/s':>9} {'peak MB':>8}")
    for count in map(int, counts or ["100", "1000"]):
        seconds, peak = measure(program, photos, count)
        print(f"{count:8} {seconds:8.1f} {count / seconds:9.1f} {peak:8.0f}")


if __name__ == "__main__":
    main()
