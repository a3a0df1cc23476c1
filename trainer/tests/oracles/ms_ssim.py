"""MS-SSIM of two images by the package pytorch-msssim itself.

usage: ms_ssim.py FOLDER PREDICTED.f32 TRUTH.f32 WIDTH RANGE   (FOLDER: where the package lies)
Prints {"ms_ssim": ...} as JSON. It compares at five scales, so that sides are of more than 160 pixels.
"""

import json
import sys

import numpy as np
import torch

# Behind all else: only the package is taken from there.
sys.path.append(sys.argv[1])
from pytorch_msssim import ms_ssim


def main():
    width, extent = int(sys.argv[4]), float(sys.argv[5])
    read = lambda path: np.fromfile(path, dtype="<f4").astype(np.float64).reshape(-1, width)
    images = (torch.from_numpy(read(path))[None, None] for path in sys.argv[2:4])
    print(json.dumps({"ms_ssim": float(ms_ssim(*images, data_range=extent))}))


main()
