#!/usr/bin/env python3
"""Images a second from photo files to embeddings: `lookalike index` against pipelines in Python.

usage: pipeline.py BINARY FOLDER [FOLDER ...] [--rounds N] [--processes N] [--work DIR]

    pip install openvino onnxruntime nncf onnx safetensors pillow opencv-python-headless torch torchvision

All compute EfficientNet-Lite0's embedding of the whole photo, upright and squashed to 224 px,
with as many processes as BINARY has threads, each on one thread:

* OpenCV + OpenVINO: the photo at 1/8, 1/4 or 1/2 of its size, the smallest that has 224 px, and
  OpenVINO's faster int8 model, one photo at a time.
* Pillow + OpenVINO: the same with Pillow's draft mode.
* torch: Pillow's whole decode, TorchScript optimised for inference, in floats.

`lookalike index` hashes each file, classifies the photo, and stores all of it, which the others do
not. Its time includes the start of the process; theirs begins when
models are loaded. All take turns, and the median of the rounds is printed.
"""
import argparse
import multiprocessing
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time
import types

SIDE = 224


def opencv_photo(path):
    import cv2
    from PIL import Image

    with Image.open(path) as photo:
        shorter = min(photo.size)
    scale = next((scale for scale in (8, 4, 2) if shorter >= scale * SIDE), 1)
    flag = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4,
            2: cv2.IMREAD_REDUCED_COLOR_2, 1: cv2.IMREAD_COLOR}[scale]
    photo = cv2.resize(cv2.imread(str(path), flag), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return photo[:, :, ::-1]


def pillow_photo(path, draft=True):
    from PIL import Image, ImageOps

    with Image.open(path) as photo:
        if draft:
            photo.draft("RGB", (SIDE, SIDE))
        return ImageOps.exif_transpose(photo).convert("RGB").resize((SIDE, SIDE), Image.BICUBIC)


def network_input(photo):
    import numpy

    pixels = (numpy.asarray(photo, numpy.float32) - numpy.float32(127)) / numpy.float32(128)
    return numpy.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def work(pipeline, model, jobs, ready, done):
    """A process: loads its model, then embeds the photos that it is sent."""
    import cv2
    import numpy

    cv2.setNumThreads(1)
    inputs = numpy.zeros((1, 3, SIDE, SIDE), numpy.float32)
    if pipeline == "torch":
        import engines
        import networks

        network, _ = networks.build("efficientnet-lite0", model.parent, None, None)
        read = lambda path: pillow_photo(path, draft=False)
        encode = engines.torch_session(network, inputs, 1)
    else:
        import engines

        read = opencv_photo if pipeline.startswith("OpenCV") else pillow_photo
        encode = engines.openvino_session(model, inputs, 1, "int8", False)
    encode()
    ready.put(True)
    for path in iter(jobs.get, None):
        # The sessions read the array that they were made with.
        inputs[:] = network_input(read(path))
        embedding = encode()
        done.put(float(numpy.linalg.norm(embedding)))


class Pipeline:
    """Processes that wait with their models loaded."""

    def __init__(self, name, model, processes):
        context = multiprocessing.get_context("spawn")
        self.jobs, ready, self.done = context.Queue(), context.Queue(), context.Queue()
        self.workers = [
            context.Process(target=work, args=(name, model, self.jobs, ready, self.done), daemon=True)
            for _ in range(processes)]
        for worker in self.workers:
            worker.start()
        for _ in self.workers:
            ready.get(timeout=120)

    def images_per_second(self, paths):
        start = time.perf_counter()
        for path in paths:
            self.jobs.put(path)
        norms = [self.done.get(timeout=120) for _ in paths]
        seconds = time.perf_counter() - start
        assert all(norm > 0 for norm in norms)
        return len(paths) / seconds

    def stop(self):
        for _ in self.workers:
            self.jobs.put(None)
        for worker in self.workers:
            worker.join(timeout=20)


def index(binary, folder, work_folder, count):
    database = work_folder / "pipeline.db"
    shutil.rmtree(database, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run([binary, "index", "--quiet", "--db", database, folder], check=True)
    rate = count / (time.perf_counter() - start)
    shutil.rmtree(database)
    return rate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir(), "lookalike-peers"))
    options = parser.parse_args()
    import inference

    options.work.mkdir(parents=True, exist_ok=True)
    flags = inference.machine()["flags"]
    settings = types.SimpleNamespace(work=options.work, photos=inference.networks.PHOTOS, lite2_weights=None,
                                     precisions=["int8"])
    network = inference.prepare("efficientnet-lite0", settings, flags)
    pipelines = {
        name: Pipeline(name, network.int8["qdq"], options.processes)
        for name in ("OpenCV + OpenVINO int8", "Pillow + OpenVINO int8", "torch")}
    print("| photos | lookalike index | " + " | ".join(pipelines) + " | index / best |")
    print("| --- |" + " --- |" * (len(pipelines) + 2))
    for folder in options.folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        rates = {name: [] for name in ("index", *pipelines)}
        for _ in range(options.rounds):
            rates["index"].append(index(options.binary, folder, options.work, len(paths)))
            for name, pipeline in pipelines.items():
                rates[name].append(pipeline.images_per_second(paths))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        best = max(rate for name, rate in medians.items() if name != "index")
        cells = [f"{folder.name}, {len(paths)}"] + [f"{rate:.1f}" for rate in medians.values()]
        print("| " + " | ".join(cells) + f" | {medians['index'] / best:.2f} |", flush=True)
    for pipeline in pipelines.values():
        pipeline.stop()


if __name__ == "__main__":
    main()
