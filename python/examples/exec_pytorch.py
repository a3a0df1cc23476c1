#!/usr/bin/env python3
"""An example of exec:PROGRAM with PyTorch: a small network for maps of near infrared.

    GLEBE_PROGRAMS=$PWD/exec_pytorch.py glebe train exec:exec_pytorch.py

Any framework will do: what counts is --describe, the job on standard input, and the two files left.
"""

import json
import sys

DESCRIPTION = {
    "task": "map of near infrared from red, green and blue, by three convolutions",
    "inputs": [["red"], ["green"], ["blue"]],
    "label": [["nir", "nir08"]],
    "answer": "map",
    "chip_px_step": 1,
    "file": "model.pt",
    "predicts": True,
}
# Chips answered at once: more take memory and no less time.
BATCH = 64


def main():
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(DESCRIPTION))
        return
    import numpy as np
    import torch
    from torch import nn

    job = json.load(sys.stdin)
    hyper = job["hyper"]

    def answer(net, chips):
        with torch.no_grad():
            answers = torch.cat([net(part) for part in chips.split(BATCH)])
        np.save(job["answers"], answers.numpy().astype("<f4"))

    if job["call"] == "predict":
        torch.set_num_threads(job["threads"])
        answer(torch.jit.load(job["model"]), torch.from_numpy(np.load(job["chips"])))
        return
    torch.manual_seed(job["seed"])
    torch.set_num_threads(hyper["threads"])
    read = lambda part, what: torch.from_numpy(np.load(job[part][what]))
    chips, labels = read("train", "chips"), read("train", "labels")
    conv = lambda a, b: nn.Conv2d(a, b, 5, padding=2)
    net = nn.Sequential(conv(3, 16), nn.ReLU(), conv(16, 16), nn.ReLU(), conv(16, 1))
    adam = torch.optim.Adam(net.parameters(), hyper["learning_rate"])
    for epoch in range(1, hyper["epochs"] + 1):
        total = 0.0
        for part in torch.randperm(len(chips)).split(hyper["batch"]):
            # A label that is NaN is masked: cloud, or nothing measured.
            known = labels[part].isfinite()
            distance = (net(chips[part]) - labels[part].nan_to_num()) * known
            loss = distance.square().sum() / known.sum().clamp(min=1)
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += loss.item() * len(part)
        print(json.dumps({"epoch": epoch, "train_mse": total / len(chips)}))
    answer(net, read("validation", "chips"))
    with torch.no_grad():
        script = torch.jit.trace(net, chips[:1])
    torch.jit.save(script, job["model"])


main()
