#!/usr/bin/env python3
"""Accuracy of `lookalike label`: half of each class is labelled, the rest is predicted.

usage: label_accuracy.py PROGRAM FOLDER [--seeds 20] [--error 0.1] [--model best]

FOLDER holds one sub-folder of images for each class. First every image gets its folder's name, and
`label compare` is printed. Then, for each seed, a random half of each class keeps it, and `label
predict --error` labels the other half: how many of those are right, how many were kept as sure
enough for that error, how many of the kept are wrong, and how far confidence and accuracy are apart
(expected calibration error, ten bins, over all seeds). Needs Python 3 and nothing else.
"""
import argparse
import json
import pathlib
import random
import subprocess
import tempfile


def lines(program, db, *arguments):
    command = [program, *arguments, "--db", db, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode > 1:
        raise SystemExit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def calibration_error(said):
    bins = {}
    for confidence, right in said:
        bins.setdefault(min(int(confidence * 10), 9), []).append((confidence, right))
    gaps = (abs(sum(c for c, _ in rows) - sum(r for _, r in rows)) for rows in bins.values())
    return sum(gaps) / len(said)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--error", type=float, default=0.1)
    parser.add_argument("--model", default="best")
    arguments = parser.parse_args()
    program, error = arguments.program, str(arguments.error)
    with tempfile.TemporaryDirectory() as name:
        db = f"{name}/db"
        lines(program, db, "index", "--no-detect", arguments.folder)
        of_class, truth = {}, {}
        for image in lines(program, db, "list"):
            label = pathlib.Path(image["paths"][0]).parent.name
            truth[image["id"]] = label
            of_class.setdefault(label, []).append(image["id"])
        for label, members in sorted(of_class.items()):
            lines(program, db, "label", "add", label, *(f"#{number}" for number in members))
        for line in lines(program, db, "label", "compare"):
            del line["reliability"]
            print(line)
        totals, said = [], []
        for seed in range(arguments.seeds):
            hidden = []
            for label, members in sorted(of_class.items()):
                shuffled = random.Random(f"{seed} {label}").sample(members, len(members))
                half = len(members) // 2
                lines(program, db, "label", "add", label, *(f"#{n}" for n in shuffled[:half]))
                hidden += shuffled[half:]
            lines(program, db, "label", "remove", *(f"#{number}" for number in hidden))
            trained = lines(program, db, "label", "train", "--model", arguments.model)[0]
            found = lines(program, db, "label", "predict", "--error", error)
            assert sorted(line["id"] for line in found) == sorted(hidden)
            right = {line["id"]: line["label"] == truth[line["id"]] for line in found}
            kept = [line["id"] for line in found if line["labelled"]]
            said += [(line["confidence"], right[line["id"]]) for line in found]
            wrong = sum(not right[number] for number in kept)
            row = (sum(right.values()) / len(found), len(kept) / len(found), wrong / max(len(kept), 1))
            totals.append(row)
            print(seed, trained["classifier"], *(f"{value:.3f}" for value in row), flush=True)
        accuracy, kept, wrong = (sum(column) / len(totals) for column in zip(*totals))
        print(f"right {accuracy:.3f}  kept {kept:.3f}  wrong among kept {wrong:.3f}", end="  ")
        print(f"greatest {max(row[2] for row in totals):.3f}", end="  ")
        print(f"calibration error {calibration_error(said):.3f}")


if __name__ == "__main__":
    main()
