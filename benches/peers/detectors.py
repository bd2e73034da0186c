#!/usr/bin/env python3
"""Time to find the objects on an image: lookalike against OpenVINO and ONNX Runtime, in f32.

usage: detectors.py BINARY NANODET.onnx YOLOX.onnx [options, see --help]

    pip install openvino onnxruntime numpy

NANODET.onnx is made by fixtures/reference/detection/nanodet_onnx.py from the weights that are
inside the binary; YOLOX.onnx is the file that the authors publish, and lookalike reads it too.

All take part in every round, one after the other, so that a machine whose speed varies is as
fast for one as for the other. The peers get f32 pixels that are normalised already; the time of
lookalike begins with bytes and ends with the objects, suppression included.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import numpy
import onnxruntime
import openvino

PAUSE = 0.1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("nanodet", type=pathlib.Path)
    parser.add_argument("yolox", type=pathlib.Path)
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each engine in each round")
    return parser.parse_args()


def onnxruntime_session(path, image, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"images": image})


def openvino_session(path, image, threads):
    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
               "INFERENCE_PRECISION_HINT": "f32"}
    model = core.read_model(path)
    compiled = core.compile_model(model, "CPU", options)
    if compiled.get_property("INFERENCE_NUM_THREADS") < threads:
        compiled = core.compile_model(model, "CPU", {**options, "ENABLE_HYPER_THREADING": True})
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(image, shared_memory=True))
    return request.infer


def median_ms(run, seconds):
    """Median time of a call, after one that does not count, out of at least five."""
    run()
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        turn = time.perf_counter()
        run()
        times.append(time.perf_counter() - turn)
    return statistics.median(times) * 1e3


def ours_ms(binary, weights, threads, seconds):
    command = [binary, "bench", "--json", "--threads", str(threads), "--seconds", str(seconds), "--detector"]
    command += [str(weights)] if weights else []
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output)["detect_ms_per_image"]


def main():
    options = arguments()
    image = numpy.random.default_rng(0).random((1, 3, 416, 416), dtype=numpy.float32) * 255
    for name, path, weights in [("nanodet-g", options.nanodet, None), ("yolox", options.yolox, options.yolox)]:
        for threads in options.threads:
            os.environ["OMP_NUM_THREADS"] = str(threads)
            engines = {"openvino": openvino_session(path, image, threads),
                       "onnxruntime": onnxruntime_session(path, image, threads)}
            times = {engine: [] for engine in ["lookalike", *engines]}
            for _ in range(options.rounds):
                times["lookalike"].append(ours_ms(options.binary, weights, threads, options.seconds))
                for engine, run in engines.items():
                    time.sleep(PAUSE)
                    times[engine].append(median_ms(run, options.seconds))
            medians = {engine: statistics.median(found) for engine, found in times.items()}
            best = min(medians[engine] for engine in engines)
            shown = ", ".join(f"{engine} {ms:.2f} ms" for engine, ms in medians.items())
            print(f"{name}, {threads} threads: {shown}; lookalike / best {medians['lookalike'] / best:.2f}", flush=True)


if __name__ == "__main__":
    main()
