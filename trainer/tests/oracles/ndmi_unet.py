"""The ndmi-unet network in numpy, from the documented names and shapes alone.

usage: ndmi_unet.py MODEL.safetensors CHIP.f32   (chip: 3 x side x side, little-endian, normalised)
Prints {"answer": [side * side numbers]} as JSON.
"""

import json
import math
import sys

import numpy as np
from safetensors.numpy import load_file

EPSILON = 1e-5
SLOPE = 0.01


def convolve(maps, weight, step=1):
    """3 x 3 convolution (weight: out, in, row, column) with a border of zeros."""
    _, height, width = maps.shape
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((weight.shape[0], height, width))
    for dy in range(3):
        for dx in range(3):
            window = padded[:, dy : dy + height, dx : dx + width]
            out += np.tensordot(weight[:, :, dy, dx], window, axes=1)
    return out[:, ::step, ::step]


def widen(maps, weight):
    """4 x 4 transposed convolution (weight: in, out, row, column) in steps of 2, 1 pixel cut off."""
    _, height, width = maps.shape
    out = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
    for dy in range(4):
        for dx in range(4):
            taps = np.tensordot(weight[:, :, dy, dx].T, maps, axes=1)
            out[:, dy : dy + 2 * height : 2, dx : dx + 2 * width : 2] += taps
    return out[:, 1:-1, 1:-1]


def normalise(maps, w, name):
    """Batch normalisation by running mean and variance, then leaky ReLU."""
    scale = w[f"{name}.norm.weight"] / np.sqrt(w[f"{name}.norm.running_var"] + EPSILON)
    shift = w[f"{name}.norm.bias"] - w[f"{name}.norm.running_mean"] * scale
    maps = maps * scale[:, None, None] + shift[:, None, None]
    return np.where(maps >= 0, maps, SLOPE * maps)


def main():
    w = {name: t.astype(np.float64) for name, t in load_file(sys.argv[1]).items()}
    pixels = np.fromfile(sys.argv[2], dtype="<f4").astype(np.float64)
    side = math.isqrt(pixels.size // 3)
    maps = pixels.reshape(3, side, side)
    levels = []
    for level in range(4):
        name = f"down{level}"
        maps = convolve(maps, w[f"{name}.conv.weight"], 1 if level == 0 else 2)
        maps = normalise(maps, w, name)
        levels.append(maps)
    for level in (2, 1, 0):
        name = f"up{level}"
        maps = normalise(widen(maps, w[f"{name}.conv.weight"]), w, name)
        maps = np.concatenate([maps, levels[level]])
    answer = convolve(maps, w["answer.weight"])[0] + w["answer.bias"][0]
    print(json.dumps({"answer": answer.ravel().tolist()}))


main()
