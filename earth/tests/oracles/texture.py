"""GLCM texture by scikit-image 0.26 and numpy.

texture.py              prints the values in earth/src/raster/texture.rs
texture.py WIDTH FILE   prints the 18 values of levels (u16 little-endian, 256 is fill) as JSON
"""
import json
import sys

import numpy as np
from skimage.feature import graycomatrix, graycoprops

PROPERTIES = ["contrast", "dissimilarity", "homogeneity", "ASM", "energy", "correlation"]
ANGLES = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]


def scene(width, height, holes):
    state, image = 12345, np.zeros((height, width), np.uint16)
    for row in range(height):
        for column in range(width):
            state = (state * 1664525 + 1013904223) % 2**32
            image[row, column] = ((state >> 27) + row * 3 + column * 2) % 256
            if holes and (row * 7 + column * 5) % 11 == 0:
                image[row, column] = 256  # a level of its own, cut off below
    return image


def texture(image):
    pairs = graycomatrix(image, [1, 2, 3], ANGLES, levels=257, symmetric=True)
    pairs = pairs[:256, :256].astype(float)
    pairs /= pairs.sum(axis=(0, 1), keepdims=True)
    return [graycoprops(pairs, p).mean(axis=1) for p in PROPERTIES]


if len(sys.argv) > 2:
    levels = np.fromfile(sys.argv[2], "<u2").reshape(-1, int(sys.argv[1]))
    print(json.dumps(np.concatenate(texture(levels)).tolist()))
else:
    for name, args in [("WHOLE", (40, 24, False)), ("HOLED", (33, 21, True))]:
        print(name)
        for p, row in zip(PROPERTIES, texture(scene(*args))):
            print("   ", ", ".join(repr(float(v)) for v in row) + ",", "//", p)
