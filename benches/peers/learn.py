"""Times our k-means, DBSCAN and random forest beside scikit-learn and faiss on the same rows.

    learn.py generate DIR [--rows 20000] [--dimension 1280] [--seed 1]
    learn.py run DIR [--rounds 3] [--only kmeans,dbscan,forest]
    learn.py table DIR

`generate` writes unit vectors as a camera and its owner make them (topics, in each of them bursts,
in each burst near-copies, varying in 48 directions, with a little noise in all), and for the
forest 2,000 rows to learn from and 2,000 to predict, of 10 classes that overlap. `run` starts each
library in a process of its own, in turn, with two threads, and appends lines of JSON to
DIR/results.jsonl: seconds of fit (and predict), inertia or agreement or accuracy, and the peak
memory of the whole process. `table` prints medians.

Needs numpy, scikit-learn, faiss-cpu, and `cargo build --release --example learn` for ours.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parents[2]
THREADS = 2
K, MIN_POINTS, TREES = 50, 5, 100
PEERS = {
    "kmeans": ["ours", "sklearn-lloyd", "sklearn-elkan", "sklearn-mini-batch", "faiss"],
    "dbscan": ["ours", "sklearn-brute"],
    "forest": ["ours", "sklearn-forest", "sklearn-extra-trees"],
}


def unit(rows):
    import numpy as np

    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write(folder, rows, eps):
    folder.mkdir(parents=True, exist_ok=True)
    rows.tofile(folder / "rows.f32")
    meta = {"dimension": rows.shape[1], "eps": eps}
    (folder / "meta.json").write_text(json.dumps(meta))


def write_forest(folder, train, labels, test, truth):
    import numpy as np

    folder = folder / "forest"
    write(folder, train, None)
    labels.astype(np.uint32).tofile(folder / "labels.u32")
    test.tofile(folder / "test.f32")
    truth.astype(np.uint32).tofile(folder / "truth.u32")


def generate(folder, count, dimension, seed):
    import numpy as np

    random = np.random.default_rng(seed)
    directions = random.standard_normal((48, dimension), dtype=np.float32)
    topics = random.standard_normal((max(count // 200, 1), 48), dtype=np.float32)

    def photos(scenes, spread):
        places = scenes + spread * random.standard_normal(scenes.shape, dtype=np.float32)
        noise = random.standard_normal((len(scenes), dimension), dtype=np.float32)
        return unit(places @ directions + 0.3 * noise)

    sizes = random.choice([1, 1, 1, 2, 3, 5, 8, 12], size=count)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), count) + 1]
    chosen = topics[random.integers(len(topics), size=len(sizes))]
    scenes = chosen + 0.7 * random.standard_normal(chosen.shape, dtype=np.float32)
    write(folder, photos(np.repeat(scenes, sizes, axis=0)[:count], 0.1), 0.35)
    labels = random.integers(10, size=4000)
    rows = photos(topics[labels], 1.6)
    write_forest(folder, rows[:2000], labels[:2000], rows[2000:], labels[2000:])


def measure(folder, name, task):
    import numpy as np

    meta = json.loads((folder / "meta.json").read_text())
    rows = np.fromfile(folder / "rows.f32", np.float32).reshape(-1, meta["dimension"])
    if task == "forest":
        labels = np.fromfile(folder / "labels.u32", np.uint32)
        test = np.fromfile(folder / "test.f32", np.float32).reshape(-1, meta["dimension"])
    seed = int(os.environ["SEED"])
    if name == "faiss":
        import faiss

        faiss.omp_set_num_threads(THREADS)
        model = faiss.Kmeans(rows.shape[1], K, niter=25, seed=seed + 1)
        started = time.perf_counter()
        model.train(rows)
        found = model.index.search(rows, 1)[1][:, 0]
    elif name.startswith("sklearn"):
        from sklearn import cluster, ensemble

        made = {
            "sklearn-lloyd": lambda: cluster.KMeans(K, n_init=1, random_state=seed),
            "sklearn-elkan": lambda: cluster.KMeans(K, n_init=1, random_state=seed, algorithm="elkan"),
            "sklearn-mini-batch": lambda: cluster.MiniBatchKMeans(K, n_init=1, random_state=seed),
            "sklearn-brute": lambda: cluster.DBSCAN(
                eps=meta["eps"], min_samples=MIN_POINTS, algorithm="brute", n_jobs=THREADS
            ),
            "sklearn-forest": lambda: ensemble.RandomForestClassifier(
                TREES, n_jobs=THREADS, random_state=seed
            ),
            "sklearn-extra-trees": lambda: ensemble.ExtraTreesClassifier(
                TREES, n_jobs=THREADS, random_state=seed
            ),
        }[name]()
        started = time.perf_counter()
        if task == "forest":
            found = made.fit(rows, labels).predict(test)
        else:
            found = made.fit(rows).labels_
    seconds = time.perf_counter() - started
    found.astype(np.int32).tofile(folder / "found.i32")
    print(json.dumps({"seconds": seconds}))


def command(folder, name, task, seed):
    if name != "ours":
        return [sys.executable, __file__, "measure", folder, "--name", name, "--only", task]
    meta = json.loads((folder / "meta.json").read_text())
    values = {
        "kmeans": [K, seed],
        "dbscan": [meta["eps"], MIN_POINTS],
        "forest": [TREES, seed],
    }[task]
    return [HERE / "target/release/examples/learn", folder, task, *map(str, values)]


def quality(folder, task, found):
    import numpy as np

    if task == "forest":
        return float((found == np.fromfile(folder / "truth.u32", np.uint32)).mean())
    if task == "dbscan":
        return None
    meta = json.loads((folder / "meta.json").read_text())
    rows = np.fromfile(folder / "rows.f32", np.float32).reshape(-1, meta["dimension"])
    total = 0.0
    for name in np.unique(found):
        members = rows[found == name].astype(np.float64)
        total += float(((members - members.mean(axis=0)) ** 2).sum())
    return total


def agreement(folder, ours, theirs):
    """Share of rows whose clusters match one to one; rows at two clusters may differ."""
    import numpy as np

    pairs, counts = np.unique(np.stack([ours, theirs]), axis=1, return_counts=True)
    noise = int(((ours < 0) != (theirs < 0)).sum())
    best = {}
    for (a, b), count in zip(pairs.T, counts):
        best[a] = max(best.get(a, 0), count)
    return {"noise_differs": noise, "moved": int(len(ours) - sum(best.values()))}


def run(folder, rounds, tasks):
    import numpy as np

    env = dict(os.environ)
    for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]:
        env[name] = str(THREADS)
    for task in tasks:
        place = folder / "forest" if task == "forest" else folder
        for seed in range(rounds):
            results = {}
            for name in PEERS[task]:
                env["SEED"] = str(seed)
                process = subprocess.Popen(
                    command(place, name, task, seed), stdout=subprocess.PIPE, env=env
                )
                text = process.stdout.read()
                _, status, usage = os.wait4(process.pid, 0)
                if status != 0:
                    raise SystemExit(f"{name} failed")
                found = results[name] = np.fromfile(place / "found.i32", np.int32)
                line = {"task": task, "name": name, **json.loads(text)}
                line |= {"peak_mb": usage.ru_maxrss / 1024, "quality": quality(place, task, found)}
                if task == "dbscan":
                    line["clusters"] = len(set(found.tolist()) - {-1})
                    line["noise"] = int((found < 0).sum())
                    line |= agreement(place, results["ours"], found)
                print(json.dumps(line), flush=True)
                with open(folder / "results.jsonl", "a") as file:
                    file.write(json.dumps(line) + "\n")


def table(folder):
    lines = [json.loads(line) for line in open(folder / "results.jsonl")]
    for task in PEERS:
        rows = {}
        for line in (line for line in lines if line["task"] == task):
            rows.setdefault(line["name"], []).append(line)
        if not rows:
            continue
        middle = {n: statistics.median(l["seconds"] for l in ls) for n, ls in rows.items()}
        print(f"\n| {task} | seconds | ours / this | quality | peak MB |\n| --- | --- | --- | --- | --- |")
        for name, group in rows.items():
            grades = [line["quality"] for line in group if line["quality"] is not None]
            grade = f"{statistics.median(grades):.4g}" if grades else json.dumps(
                {key: group[0][key] for key in ["clusters", "noise", "noise_differs", "moved"]}
            )
            peak = max(line["peak_mb"] for line in group)
            ratio = middle["ours"] / middle[name]
            print(f"| {name} | {middle[name]:.3f} | {ratio:.2f} | {grade} | {peak:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["generate", "run", "table", "measure"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--dimension", type=int, default=1280)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--name")
    arguments = parser.parse_args()
    if arguments.what == "generate":
        generate(arguments.folder, arguments.rows, arguments.dimension, arguments.seed)
    elif arguments.what == "run":
        run(arguments.folder, arguments.rounds, arguments.only.split(","))
    elif arguments.what == "table":
        table(arguments.folder)
    else:
        measure(arguments.folder, arguments.name, arguments.only)


if __name__ == "__main__":
    main()
