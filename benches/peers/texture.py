"""The peer of `bench texture`: scikit-image's GLCM, as a user writes it.

texture.py WIDTH FILE...   each FILE is raw bytes, one a pixel, WIDTH a row
Prints one line of JSON a file: {"seconds": processor time without reading, "values": the 18 values}.
"""
import json
import sys
import time

import numpy as np
from skimage.feature import graycomatrix, graycoprops

PROPERTIES = ["contrast", "dissimilarity", "homogeneity", "ASM", "energy", "correlation"]
ANGLES = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]


def texture(image):
    glcm = graycomatrix(image, [1, 2, 3], ANGLES, levels=256, symmetric=True, normed=True)
    return np.concatenate([graycoprops(glcm, p).mean(axis=1) for p in PROPERTIES])


texture(np.zeros((8, 8), np.uint8))  # so that nothing is loaded while the clock runs
for path in sys.argv[2:]:
    image = np.fromfile(path, np.uint8).reshape(-1, int(sys.argv[1]))
    start = time.process_time()
    values = texture(image)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "values": values.tolist()}))
