"""Cross-validates classifiers of scikit-learn on the features that the database stores.

    lookalike index PHOTOS                 # folders below are the classes
    lookalike list --json --embeddings --db PHOTOS/.lookalike | classifiers.py [--seeds 5]

Says which methods would be worth their code beside those of `lookalike label compare`: mean
accuracy of stratified 5-fold cross-validation over seeds, its deviation over folds, and seconds.

Needs numpy and scikit-learn.
"""

import argparse
import json
import sys
import time
import warnings


def methods():
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    return {
        "logistic regression": lambda seed: LogisticRegression(C=10, max_iter=2000),
        "SVM, linear": lambda seed: SVC(kernel="linear", C=1),
        "SVM, RBF": lambda seed: SVC(kernel="rbf", C=10),
        "10 nearest neighbors": lambda seed: KNeighborsClassifier(10, metric="cosine"),
        "random forest": lambda seed: RandomForestClassifier(100, random_state=seed, n_jobs=2),
        "extra trees": lambda seed: ExtraTreesClassifier(100, random_state=seed, n_jobs=2),
        "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    }


def main():
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", help="names, separated by ;")
    arguments = parser.parse_args()
    images = [json.loads(line) for line in sys.stdin]
    rows = np.array([image["embedding"] for image in images], dtype=np.float32)
    labels = np.array([image["paths"][0].split("/")[-2] for image in images])
    print(f"{len(rows)} images, {len(set(labels))} classes")
    wanted = arguments.only.split(";") if arguments.only else methods()
    for name in wanted:
        scores, start = [], time.perf_counter()
        for seed in range(arguments.seeds):
            folds = StratifiedKFold(5, shuffle=True, random_state=seed)
            for train, test in folds.split(rows, labels):
                model = methods()[name](seed).fit(rows[train], labels[train])
                scores.append((model.predict(rows[test]) == labels[test]).mean())
        fit = (time.perf_counter() - start) / len(scores)
        print(f"{name:22} {np.mean(scores):.3f} +- {np.std(scores):.3f}  {fit:.2f} s a fold", flush=True)


main()
