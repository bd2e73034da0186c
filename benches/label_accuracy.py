#!/usr/bin/env python3
"""Accuracy of `lookalike label`: half of each class is labelled, the forest labels the rest.

usage: label_accuracy.py PROGRAM FOLDER [SEED...]            (default seeds: 0 1 2)

FOLDER holds one sub-folder of images for each class. For each seed, a random
half of each class gets its folder's name as label; the forest is trained twice
and must give the same labels both times. Prints the accuracy on the other half
beside that of the nearest labelled image and of the most frequent class.
Needs Python 3 and nothing else.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile


def lines(program, db, *arguments):
    command = [program, *arguments, "--db", db, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def nearest_accuracy(known, asked):
    right = 0
    for embedding, truth in asked:
        _, label = max((dot(embedding, other), label) for other, label in known)
        right += label == truth
    return right / len(asked)


def evaluate(program, folder, seed):
    with tempfile.TemporaryDirectory() as name:
        db = f"{name}/db"
        lines(program, db, "index", folder)
        images = lines(program, db, "list", "--embeddings")
        of_class = {}
        for image in images:
            of_class.setdefault(pathlib.Path(image["paths"][0]).parent.name, []).append(image)
        known, asked = [], []
        for label, members in sorted(of_class.items()):
            random.Random(f"{seed} {label}").shuffle(members)
            half = len(members) // 2
            known += [(image, label) for image in members[:half]]
            asked += [(image, label) for image in members[half:]]
            numbers = [f"#{image['id']}" for image in members[:half]]
            lines(program, db, "label", "add", label, *numbers)
        runs = []
        for _ in range(2):
            trained = lines(program, db, "label", "train")[0]
            runs.append(lines(program, db, "label", "predict"))
        assert runs[0] == runs[1], "two runs gave different labels"
        given = {line["id"]: line["label"] for line in runs[0]}
        right = sum(given[image["id"]] == label for image, label in asked)
        nearest = nearest_accuracy(
            [(image["embedding"], label) for image, label in known],
            [(image["embedding"], label) for image, label in asked],
        )
        frequent = max(map(len, of_class.values())) / len(images)
        return trained["accuracy"], right / len(asked), nearest, frequent


def main():
    program, folder, *seeds = sys.argv[1:]
    print(f"{'seed':>5} {'5-fold':>7} {'forest':>7} {'nearest':>8} {'frequent':>9}")
    for seed in seeds or ["0", "1", "2"]:
        folds, forest, nearest, frequent = evaluate(program, folder, seed)
        print(f"{seed:>5} {folds:7.3f} {forest:7.3f} {nearest:8.3f} {frequent:9.3f}")


if __name__ == "__main__":
    main()
