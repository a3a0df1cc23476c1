"""The ndvi-cnn network in numpy, from the documented names and shapes alone.

usage: ndvi_cnn.py MODEL.safetensors CHIP.f32   (chip: 3 x side x side, little-endian, normalised)
Prints {"shapes": {...}, "metadata": {...}, "answer": number} as JSON.
"""

import json
import math
import sys

import numpy as np
from safetensors import safe_open


def convolve(maps, weight, bias):
    """3 x 3 convolution with a border of zeros; maps are [channel, row, column]."""
    _, height, width = maps.shape
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((weight.shape[0], height, width), dtype=np.float64)
    for dy in range(3):
        for dx in range(3):
            window = padded[:, dy : dy + height, dx : dx + width]
            out += np.tensordot(weight[:, :, dy, dx], window, axes=1)
    return out + bias[:, None, None]


def main():
    with safe_open(sys.argv[1], framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    pixels = np.fromfile(sys.argv[2], dtype="<f4").astype(np.float64)
    side = math.isqrt(pixels.size // 3)
    maps = pixels.reshape(3, side, side)
    w = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    for cell in ("cell1", "cell2", "cell3"):
        maps = convolve(maps, w[f"{cell}.weight"], w[f"{cell}.bias"])[:, ::2, ::2]
        maps = np.maximum(maps, 0.0)
    means = maps.mean(axis=(1, 2))
    hidden = np.maximum(w["hidden.weight"] @ means + w["hidden.bias"], 0.0)
    answer = w["answer.weight"] @ hidden + w["answer.bias"]
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    print(json.dumps({"shapes": shapes, "metadata": metadata, "answer": float(answer[0])}))


main()
