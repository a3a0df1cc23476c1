"""The generator of spagan in numpy, from the documented names and shapes alone.

usage: spagan.py MODEL.safetensors CHIP.f32 DISCRIMINATOR.safetensors
(chip: 3 x side x side, little-endian, normalised)
Prints {"answer": [3 * side * side numbers], "discriminator": how many numbers it has} as JSON.
"""

import json
import math
import sys

import numpy as np
from safetensors.numpy import load_file


def convolve(maps, w, name):
    """3 x 3 convolution (weight: out, in, row, column) with a border of zeros."""
    weight = w[f"{name}.weight"]
    _, height, width = maps.shape
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((weight.shape[0], height, width)) + w[f"{name}.bias"][:, None, None]
    for dy in range(3):
        for dx in range(3):
            window = padded[:, dy : dy + height, dx : dx + width]
            out += np.tensordot(weight[:, :, dy, dx], window, axes=1)
    return out


def relu(maps):
    return np.maximum(maps, 0)


def sigmoid(maps):
    return 1 / (1 + np.exp(-maps))


def sweep(maps, weight):
    """States of four sweeps, each written out in its own direction."""
    channels, height, width = maps.shape
    out = np.zeros((4, channels, height, width))
    for y in range(height):
        before = weight[0][:, None] * out[0, :, y - 1] if y else 0
        out[0, :, y] = relu(maps[:, y] + before)
    for y in reversed(range(height)):
        before = weight[1][:, None] * out[1, :, y + 1] if y + 1 < height else 0
        out[1, :, y] = relu(maps[:, y] + before)
    for x in range(width):
        before = weight[2][:, None] * out[2, :, :, x - 1] if x else 0
        out[2, :, :, x] = relu(maps[:, :, x] + before)
    for x in reversed(range(width)):
        before = weight[3][:, None] * out[3, :, :, x + 1] if x + 1 < width else 0
        out[3, :, :, x] = relu(maps[:, :, x] + before)
    return out


def attend(maps, w, name):
    gates = sigmoid(convolve(maps, w, f"{name}.gates"))
    inner = convolve(maps, w, f"{name}.enter")
    for n in (1, 2):
        swept = sweep(inner, w[f"{name}.sweep{n}.weight"]) * gates[:, None]
        inner = convolve(swept.reshape(-1, *maps.shape[1:]), w, f"{name}.join{n}")
    return sigmoid(convolve(relu(inner), w, f"{name}.mask"))


def residual(maps, w, name, attention=1.0):
    found = convolve(relu(convolve(maps, w, f"{name}.conv1")), w, f"{name}.conv2")
    return relu(maps + found * attention)


def main():
    w = {name: t.astype(np.float64) for name, t in load_file(sys.argv[1]).items()}
    pixels = np.fromfile(sys.argv[2], dtype="<f4").astype(np.float64)
    side = math.isqrt(pixels.size // 3)
    maps = relu(convolve(pixels.reshape(3, side, side), w, "widen"))
    for i in (1, 2, 3):
        maps = residual(maps, w, f"residual{i}")
    for i in (1, 2, 3):
        name = f"attentive{i}"
        maps = residual(maps, w, name, attend(maps, w, name))
    for i in (4, 5):
        maps = residual(maps, w, f"residual{i}")
    answer = convolve(maps, w, "answer")
    numbers = sum(t.size for t in load_file(sys.argv[3]).values())
    print(json.dumps({"answer": answer.ravel().tolist(), "discriminator": numbers}))


main()
