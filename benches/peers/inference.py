#!/usr/bin/env python3
"""Time to encode an image: lookalike against OpenVINO, ONNX Runtime and torch.

usage: inference.py [BINARY] [options, see --help]

    pip install openvino onnxruntime nncf onnx safetensors pillow torch torchvision

(Debian's python3-torch and python3-torchvision will do as well, in a virtual environment
made with --system-site-packages and with "numpy<2". OpenVINO's tools report their use
to its makers: `opt_in_out --opt_out` ends that. Needs Linux.)

All engines run the same weights on the same photos and give the pooled features,
without the classifier: EfficientNet-Lite with its pretrained weights, ResNets with
random ones. The int8 models are calibrated with 64 photos. All take part in every
round, one after the other, so that a machine whose speed varies is as fast for one as
for the other; a pause in between lets the threads of the last one go to sleep.

The peers get f32 pixels that are normalised already, as their users' code prepares
them; lookalike starts at the u8 pixels, and its time includes that step. "streams"
are single images on each thread instead of one batch on all of them. Without BINARY
the peers are timed alone. What is made on the way (weights, ONNX files, int8 models)
stays in the --work folder for the next run; delete the folder to make it anew.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
import types

import numpy

import engines
import networks

CALIBRATION_PHOTOS = 64
CHECKED_PHOTOS = 8
PAUSE = 0.1
OURS = "lookalike"
OUR_PRECISIONS = ("f32", "int8")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16")
# With these, sums of products of 8 bit numbers do not saturate.
VNNI_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8"}


def arguments():
    def words(text):
        return text.split(",")

    def numbers(text):
        return [int(word) for word in words(text)]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", nargs="?", help="the lookalike program")
    parser.add_argument("--networks", type=words, default=["efficientnet-lite0", "resnet18", "resnet50"],
                        help="of " + ",".join(networks.NAMES))
    parser.add_argument("--lite2-weights", help="safetensors file for efficientnet-lite2")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--batch", type=numbers, default=[1, 8])
    parser.add_argument("--precisions", type=words, default=[*engines.FLOATS, "int8"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each engine in each round")
    parser.add_argument("--photos", type=pathlib.Path, default=networks.PHOTOS)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir(), "lookalike-peers"))
    parser.add_argument("--json", type=pathlib.Path, help="file for all the single results")
    options = parser.parse_args()
    if "efficientnet-lite2" in options.networks and not options.lite2_weights:
        parser.error("efficientnet-lite2 needs --lite2-weights")
    return options


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    info = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    flags = [flag for flag in FLAGS if flag in info["flags"].split()]
    return {"cpu": info["model name"], "cores": len(os.sched_getaffinity(0)), "flags": flags,
            "versions": engines.versions()}


def prepare(name, options, flags):
    """Everything about a network that does not depend on threads and batch."""
    photos = networks.photo_batch(name, options.photos, CALIBRATION_PHOTOS)
    model, weights = networks.build(name, options.work, photos, options.lite2_weights)
    onnx = options.work / f"{name}.onnx"
    if not onnx.exists():
        networks.export(model, name, onnx)
    int8 = {}
    if "int8" in options.precisions:
        narrow = VNNI_FLAGS.isdisjoint(flags)
        int8 = {"nncf": engines.quantized("nncf", onnx, photos, False),
                "qdq": engines.quantized("qdq", onnx, photos, narrow)}
    return types.SimpleNamespace(name=name, model=model, weights=weights, onnx=onnx, int8=int8, photos=photos)


def cosine(left, right):
    """The mean over the rows."""
    norms = numpy.linalg.norm(left, axis=1) * numpy.linalg.norm(right, axis=1)
    return float(((left * right).sum(1) / norms).mean())


def check(network, precisions):
    """Fails unless the peers agree in f32; gives the cosine to torch of the other precisions."""
    photos = network.photos[:CHECKED_PHOTOS]
    expected = engines.torch_session(network.model, photos, 1)()
    cosines = {}
    for (engine, precision), encode in engines.peers(network, photos, 1, precisions).items():
        features = encode()
        if precision == "f32":
            difference = numpy.abs(features - expected).max() / numpy.abs(expected).max()
            assert difference < 1e-3, f"{network.name}: {engine} is {difference} off torch"
        else:
            cosines[f"{engine} {precision}"] = round(cosine(features, expected), 4)
    return cosines


def median_ms(encode, seconds):
    """Median time of a call, after one that does not count, out of at least five."""
    encode()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        encode()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def run_ours(options, network, precision, threads, batch):
    """One turn of lookalike, as the object that it prints."""
    command = [options.binary, "bench", "--model", network.name, "--precision", precision,
               "--threads", str(threads), "--batch", str(batch), "--seconds", str(options.seconds),
               "--encode-only", "--json"]
    if network.weights:
        command += ["--weights", str(network.weights)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def measure(options, network, threads, batch):
    """Milliseconds per image in each round, as {(engine, precision): [number]}."""
    sets = set()

    def ours(precision):
        report = run_ours(options, network, precision, threads, batch)
        sets.add(f"{precision}: {report['instruction_set']}")
        return report["encode_ms_per_image"]

    def peer(encode):
        return lambda: median_ms(encode, options.seconds) / batch

    sessions = engines.peers(network, network.photos[:batch], threads, options.precisions)
    turns = {key: peer(encode) for key, encode in sessions.items()}
    if options.binary:
        for precision in OUR_PRECISIONS:
            if precision in options.precisions:
                turns[OURS, precision] = lambda precision=precision: ours(precision)
    results = {key: [] for key in turns}
    for number in range(options.rounds):
        for key in list(turns)[::-1 if number % 2 else 1]:
            time.sleep(PAUSE)
            results[key].append(turns[key]())
    return results, sorted(sets)


def ratio(results, ours, peers):
    """Our time by that of the fastest peer: the median of the rounds' ratios."""
    best = min(peers, key=lambda key: statistics.median(results[key]))
    return statistics.median(mine / other for mine, other in zip(results[ours], results[best]))


def ratios(results):
    peers = [key for key in results if key[0] != OURS]
    f32_peers = [key for key in peers if key[1] == "f32"]
    cells = {}
    for key in results:
        if key[0] == OURS:
            for title, others in (("best f32 peer", f32_peers), ("best peer", peers)):
                if others:
                    cells[f"{OURS} {key[1]} / {title}"] = ratio(results, key, others)
    return cells


def print_table(rows):
    """Markdown; the engines in the order of the row which has the most of them."""
    columns = list(dict.fromkeys(key for row in sorted(rows, key=lambda row: -len(row["ms"])) for key in row["ms"]))
    quotients = list(dict.fromkeys(key for row in rows for key in row["ratios"]))
    head = ["network", "threads", "batch", *columns, *quotients]
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        cells = [row["network"], str(row["threads"]), str(row["batch"])]
        cells += [f"{statistics.median(row['ms'][key]):.2f}" if key in row["ms"] else "-" for key in columns]
        cells += [f"{row['ratios'][key]:.3f}" if key in row["ratios"] else "-" for key in quotients]
        print("| " + " | ".join(cells) + " |")


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(), "cosines": {}, "rows": []}
    for name in options.networks:
        network = prepare(name, options, report["machine"]["flags"])
        report["cosines"][name] = check(network, options.precisions)
        for threads in options.threads:
            for batch in options.batch:
                results, sets = measure(options, network, threads, batch)
                report["rows"].append({
                    "network": name, "threads": threads, "batch": batch, "instruction_sets": sets,
                    "ms": {" ".join(key): values for key, values in results.items()}, "ratios": ratios(results)})
        if options.json:
            options.json.write_text(json.dumps(report, indent=1))
    print("ms per image, median of the rounds; ratios below 1: lookalike is faster\n")
    print_table(report["rows"])
    facts = report["machine"]
    print(f"\nmachine: {facts['cpu']}, {facts['cores']} cores, {' '.join(facts['flags'])}")
    print("versions: " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    if options.binary:
        print("lookalike: " + ", ".join(sorted({item for row in report["rows"] for item in row["instruction_sets"]})))
    for name, cosines in report["cosines"].items():
        print(f"cosine to f32, {name}: " + ", ".join(f"{engine} {value}" for engine, value in cosines.items()))


if __name__ == "__main__":
    main()
