#!/usr/bin/env python3
"""An example of exec:PROGRAM with NumPy alone: ridge regression on what chips look like.

    GLEBE_PROGRAMS=$PWD/exec_numpy.py glebe train exec:exec_numpy.py

Asked with --describe it says what it wants; otherwise it reads a job from standard input, in a
folder of chips. To learn, it leaves model.npz, and answers.npy for the held-out chips; to predict, it
leaves answers.npy alone.
"""

import json
import sys

import numpy as np

DESCRIPTION = {
    "task": "mean near infrared of a chip from red, green and blue, by ridge regression",
    # One list of STAC common names a band, best first.
    "inputs": [["red"], ["green"], ["blue"]],
    "label": [["nir", "nir08"]],
    "answer": "number",
    "chip_px_step": 1,
    "file": "model.npz",
    "predicts": True,
}
RIDGE = 1e-3


def features(chips):
    """Means, deviations and mean steps of each band: brightness and texture."""
    steps = np.abs(np.diff(chips, axis=3)).mean(axis=(2, 3))
    rows = [chips.mean(axis=(2, 3)), chips.std(axis=(2, 3)), steps]
    rows = np.concatenate(rows, axis=1)
    return np.concatenate([rows, rows**2, np.ones((len(rows), 1))], axis=1)


def answer(job, chips, weights):
    """Leaves standardised answers in the shape of labels."""
    answers = features(chips) @ weights
    shape = (len(answers), *job["label_shape"])
    np.save(job["answers"], answers.reshape(shape).astype("<f4"))


def main():
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(DESCRIPTION))
        return
    job = json.load(sys.stdin)
    if job["call"] == "predict":
        answer(job, np.load(job["chips"], mmap_mode="r"), np.load(job["model"])["weights"])
        return
    read = lambda part, what: np.load(job[part][what], mmap_mode="r")
    rows = features(read("train", "chips"))
    labels = read("train", "labels").reshape(len(rows))
    normal = rows.T @ rows + RIDGE * len(rows) * np.eye(rows.shape[1])
    weights = np.linalg.solve(normal, rows.T @ labels)
    answer(job, read("validation", "chips"), weights)
    np.savez(job["model"], weights=weights)
    print(json.dumps({"train_mse": float(np.mean((rows @ weights - labels) ** 2))}))


main()
