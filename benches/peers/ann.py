"""Times our vector index beside hnswlib, usearch and faiss on the same vectors.

    ann.py generate DIR --count 100000 --dimension 512 [--seed 1]
    ann.py run DIR NAME...        NAME: hnswlib usearch-i8 usearch-f16 faiss-hnsw faiss-hnsw-sq8
                                        faiss-ivf faiss-ivf-sq8 faiss-flat ours ours-hnsw_rs
                                        ours-weave:LINKS:EF_CONSTRUCTION
    ann.py table DIR

`generate` writes unit vectors as a camera and its owner make them: topics, in each of them bursts
that follow one another, in each burst near-copies, varying in 48 directions and with a little
noise in all. A tenth of the queries are photos of bursts that are in the set, the others of bursts
that are not. `run` builds with two threads, answers all queries one at a time at several widths,
with one thread and with two, and appends a line of JSON to DIR/results.jsonl. `table` prints them.

Any folder with vectors.f32 (rows of float32), queries.f32 and meta.json {"dimension": d} will do.
Needs numpy, faiss-cpu, hnswlib, usearch, and `cargo build --release --example ann` for ours.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import threading
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parents[2]
K = 10
LINKS, EF_CONSTRUCTION, THREADS = 16, 200, 2
WIDTHS = [10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256]


def generate(folder, count, dimension, seed):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    directions = random.standard_normal((48, dimension), dtype=np.float32)
    topics = random.standard_normal((max(count // 500, 1), 48), dtype=np.float32)

    def photos(scenes):
        places = scenes + 0.1 * random.standard_normal(scenes.shape, dtype=np.float32)
        noise = random.standard_normal((len(scenes), dimension), dtype=np.float32)
        rows = places @ directions + 0.3 * noise
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def bursts(wanted):
        sizes = random.choice([1, 1, 1, 2, 3, 5, 8, 12], size=wanted)
        sizes = sizes[: np.searchsorted(np.cumsum(sizes), wanted) + 1]
        chosen = topics[random.integers(len(topics), size=len(sizes))]
        scenes = chosen + 0.7 * random.standard_normal(chosen.shape, dtype=np.float32)
        return np.repeat(scenes, sizes, axis=0)[:wanted]

    scenes = bursts(count)
    with open(folder / "vectors.f32", "wb") as file:
        for start in range(0, count, 50000):
            photos(scenes[start : start + 50000]).tofile(file)
    known = scenes[random.choice(count, 100, replace=False)]
    photos(np.concatenate([known, bursts(900)])).tofile(folder / "queries.f32")
    (folder / "meta.json").write_text(json.dumps({"dimension": dimension, "seed": seed}))


def load(folder):
    dimension = json.loads((folder / "meta.json").read_text())["dimension"]
    read = lambda name: np.fromfile(folder / name, np.float32).reshape(-1, dimension)
    return read("vectors.f32"), read("queries.f32")


def truth(folder, vectors, queries):
    """Ids and scores of the true neighbors, by products in float32, kept in a file."""
    path = folder / "truth.npz"
    if not path.exists():
        best, scores = [], []
        for block in np.array_split(queries, max(len(queries) // 100, 1)):
            products = block @ vectors.T
            ids = np.argpartition(-products, K, axis=1)[:, :K]
            best.append(ids)
            scores.append(np.take_along_axis(products, ids, axis=1).min(axis=1))
        np.savez(path, ids=np.concatenate(best), floor=np.concatenate(scores))
    return np.load(path)["floor"]


def recall(vectors, queries, floor, found):
    """The share of answers that score at least as high as the true tenth, copies counted once."""
    hits = 0
    for query, least, ids in zip(queries, floor, found):
        ids = np.unique(ids[ids < len(vectors)].astype(np.int64))
        hits += min(int((vectors[ids] @ query >= least - 1e-6).sum()), K)
    return hits / (K * len(queries))


def rss_mb():
    fields = pathlib.Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize() / 1e6


def per_second(queries, threads, search):
    """Median of three rounds; each thread asks its part of the queries, one at a time."""
    rounds = []
    for _ in range(3):
        parts = np.array_split(queries, threads)
        ask = lambda part: [search(query) for query in part]
        workers = [threading.Thread(target=ask, args=(part,)) for part in parts]
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        rounds.append(len(queries) / (time.perf_counter() - started))
    return float(np.median(rounds))


class Hnswlib:
    def build(self, vectors):
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self.index.init_index(len(vectors), ef_construction=EF_CONSTRUCTION, M=LINKS)
        self.index.add_items(vectors, num_threads=THREADS)
        self.index.set_num_threads(1)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path, dimension):
        import hnswlib

        self.index = hnswlib.Index(space="ip", dim=dimension)
        self.index.load_index(path)
        self.index.set_num_threads(1)

    def set_width(self, width):
        self.index.set_ef(width)

    def search(self, query):
        return self.index.knn_query(query, k=K, num_threads=1)[0]

    def batch(self, queries, threads):
        self.index.knn_query(queries, k=K, num_threads=threads)


class Usearch:
    def __init__(self, kind):
        self.kind = kind

    def make(self, dimension):
        from usearch.index import Index

        options = dict(connectivity=LINKS, expansion_add=EF_CONSTRUCTION)
        return Index(ndim=dimension, metric="cos", dtype=self.kind, **options)

    def build(self, vectors):
        self.index = self.make(vectors.shape[1])
        self.index.add(np.arange(len(vectors)), vectors, threads=THREADS)

    def save(self, path):
        self.index.save(path)

    def load(self, path, dimension):
        self.index = self.make(dimension)
        self.index.load(path)

    def set_width(self, width):
        self.index.expansion_search = width

    def search(self, query):
        return self.index.search(query, K, threads=1).keys

    def batch(self, queries, threads):
        self.index.search(queries, K, threads=threads)


class Faiss:
    def __init__(self, kind):
        self.kind = kind

    def build(self, vectors):
        import faiss

        faiss.omp_set_num_threads(THREADS)
        dimension, metric = vectors.shape[1], faiss.METRIC_INNER_PRODUCT
        name = {
            "hnsw": f"HNSW{LINKS},Flat",
            "hnsw-sq8": f"HNSW{LINKS},SQ8",
            "ivf": "IVF1024,Flat" if len(vectors) < 500000 else "IVF4096,Flat",
            "ivf-sq8": "IVF1024,SQ8" if len(vectors) < 500000 else "IVF4096,SQ8",
            "flat": "Flat",
        }[self.kind]
        self.index = faiss.index_factory(dimension, name, metric)
        if "hnsw" in self.kind:
            self.index.hnsw.efConstruction = EF_CONSTRUCTION
        if not self.index.is_trained:
            self.index.train(vectors)
        self.index.add(vectors)

    def save(self, path):
        import faiss

        faiss.write_index(self.index, path)

    def load(self, path, dimension):
        import faiss

        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(path)

    def set_width(self, width):
        if "hnsw" in self.kind:
            self.index.hnsw.efSearch = width
        elif "ivf" in self.kind:
            self.index.nprobe = width

    def search(self, query):
        return self.index.search(query[None], K)[1][0]

    def batch(self, queries, threads):
        import faiss

        faiss.omp_set_num_threads(threads)
        self.index.search(queries, K)


PEERS = {
    "hnswlib": Hnswlib,
    "usearch-i8": lambda: Usearch("i8"),
    "usearch-f16": lambda: Usearch("f16"),
    **{f"faiss-{kind}": (lambda kind=kind: Faiss(kind))
       for kind in ["hnsw", "hnsw-sq8", "ivf", "ivf-sq8", "flat"]},
}


def run_peer(folder, name):
    """Builds in one process and times in a second one, so that memory is that of the index."""
    vectors, queries = load(folder)
    floor = truth(folder, vectors, queries)
    path = str(folder / f"{name}.index")
    peer = PEERS[name]()
    started = time.perf_counter()
    peer.build(vectors)
    build_s = time.perf_counter() - started
    peer.save(path)
    command = [sys.executable, __file__, "serve", str(folder), name]
    timed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    for row in timed["rows"]:
        row["recall"] = recall(vectors, queries, floor, np.array(row.pop("found")))
    os.remove(path)
    return {"name": name, "build_s": build_s, **timed}


def serve(folder, name):
    dimension = json.loads((folder / "meta.json").read_text())["dimension"]
    queries = np.fromfile(folder / "queries.f32", np.float32).reshape(-1, dimension)
    path = str(folder / f"{name}.index")
    peer = PEERS[name]()
    __import__(name.split("-")[0])
    before, started = rss_mb(), time.perf_counter()
    peer.load(path, dimension)
    load_s, memory_mb = time.perf_counter() - started, rss_mb() - before
    widths = {"ivf": [1, 2, 3, 4, 6, 8, 12, 16, 32, 64], "flat": [0]}
    rows = []
    for width in widths.get(name.split("-")[1] if "-" in name else "", WIDTHS):
        peer.set_width(width)
        asked = queries if width else queries[:100]
        found = [[int(key) for key in np.ravel(peer.search(query))] for query in queries]
        row = {"width": width, "found": found}
        # Calls from Python cost some microseconds each: a batch is timed too, and the better of
        # the two counts.
        for threads in [1, 2]:
            single = per_second(asked, threads, peer.search)
            rounds = []
            for _ in range(3):
                started = time.perf_counter()
                peer.batch(asked, threads)
                rounds.append(len(asked) / (time.perf_counter() - started))
            row[f"qps_{threads}"] = max(single, float(np.median(rounds)))
        rows.append(row)
    print(json.dumps({
        "load_ms": 1e3 * load_s, "memory_mb": memory_mb,
        "file_mb": os.path.getsize(path) / 1e6, "rows": rows,
    }))


def run_ours(folder, name):
    vectors, queries = load(folder)
    floor = truth(folder, vectors, queries)
    program = HERE / "target/release/examples/ann"
    widths = ",".join(map(str, WIDTHS))
    builder = name.partition("-")[2] or "weave"
    command = [program, folder, str(vectors.shape[1]), widths, builder]
    timed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for row in timed["rows"]:
        row["recall"] = recall(vectors, queries, floor, np.array(row.pop("found")))
    return {"name": name, **timed}


def at_recall(rows, wanted, key):
    """Queries per second at a recall, between the two rows around it."""
    rows = sorted(rows, key=lambda row: row["recall"])
    for low, high in zip(rows, rows[1:]):
        if low["recall"] < wanted <= high["recall"]:
            part = (wanted - low["recall"]) / (high["recall"] - low["recall"])
            return f"{low[key] + part * (high[key] - low[key]):,.0f}"
    if rows and rows[0]["recall"] >= wanted:
        return f">= {rows[0][key]:,.0f}"
    return "-"


def table(folder):
    print("| index | build, s | memory, MB | file, MB | open, ms | 1 thread at .99 | 2 threads at .99 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    lines = [json.loads(line) for line in open(folder / "results.jsonl")]
    for line in {line["name"]: line for line in lines}.values():
        cells = [line["name"]] + [f"{line[key]:.1f}" for key in ["build_s", "memory_mb", "file_mb", "load_ms"]]
        cells += [at_recall(line["rows"], 0.99, key) for key in ["qps_1", "qps_2"]]
        print("| " + " | ".join(cells) + " |")
    for line in {line["name"]: line for line in lines}.values():
        points = [f"{row['width']}: {row['recall']:.4f} {row['qps_1']:,.0f}" for row in line["rows"]]
        print(line["name"], "; ".join(points), line.get("notes", ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["generate", "run", "serve", "table"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.what == "generate":
        generate(arguments.folder, arguments.count, arguments.dimension, arguments.seed)
    elif arguments.what == "serve":
        serve(arguments.folder, arguments.names[0])
    elif arguments.what == "table":
        table(arguments.folder)
    for name in arguments.names if arguments.what == "run" else []:
        run = run_ours if name.startswith("ours") else run_peer
        with open(arguments.folder / "results.jsonl", "a") as file:
            file.write(json.dumps(run(arguments.folder, name)) + "\n")


main()
