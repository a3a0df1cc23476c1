"""Scores of two images by scikit-image, and MS-SSIM by pytorch-msssim's formula in numpy.

usage: similarity.py PREDICTED.f32 TRUTH.f32 WIDTH RANGE   (NaN in the truth is masked)
Prints {"mse", "mae", "r2", "psnr", "ssim", "ms_ssim", "scales"} as JSON.
"""

import json
import sys

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.signal import convolve2d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
WINDOW, SIGMA, BORDER = 11, 1.5, 5


def clear_windows(masked):
    """Windows without a masked pixel, of those that lie inside."""
    touched = maximum_filter(masked, size=WINDOW, mode="constant", cval=False)
    return ~touched[BORDER:-BORDER, BORDER:-BORDER]


def ssim(one, other, masked, extent):
    _, full = structural_similarity(
        one, other, data_range=extent, gaussian_weights=True, sigma=SIGMA,
        use_sample_covariance=False, full=True,
    )
    return full[BORDER:-BORDER, BORDER:-BORDER][clear_windows(masked)].mean()


def similarity(one, other, masked, extent):
    """Mean of whole similarity and of contrast and structure alone (pytorch_msssim._ssim)."""
    steps = np.arange(WINDOW) - WINDOW // 2
    line = np.exp(-(steps**2) / (2 * SIGMA**2))
    line /= line.sum()
    window = np.outer(line, line)
    blur = lambda image: convolve2d(image, window, mode="valid")
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    a, b = blur(one), blur(other)
    variances = blur(one * one) - a**2 + blur(other * other) - b**2
    structure = (2 * (blur(one * other) - a * b) + c2) / (variances + c2)
    whole = (2 * a * b + c1) / (a**2 + b**2 + c1) * structure
    clear = clear_windows(masked)
    return whole[clear].mean(), structure[clear].mean()


def halve(image, join):
    """avg_pool2d(kernel 2, padding side % 2), zeros of the border counted."""
    padded = np.pad(image, [(side % 2, side % 2) for side in image.shape])
    rows, columns = (side // 2 for side in padded.shape)
    blocks = padded[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    return join(blocks, axis=(1, 3))


def ms_ssim(one, other, masked, extent):
    scales = sum(min(one.shape) > (WINDOW - 1) * 2**i for i in range(len(WEIGHTS)))
    weights = WEIGHTS[:scales] / WEIGHTS[:scales].sum()
    product = 1.0
    for i, weight in enumerate(weights):
        whole, structure = similarity(one, other, masked, extent)
        last = i + 1 == scales
        product *= max(whole if last else structure, 0.0) ** weight
        one, other = halve(one, np.mean), halve(other, np.mean)
        masked = halve(masked, np.max)
    return product, scales


def main():
    read = lambda path: np.fromfile(path, dtype="<f4").astype(np.float64)
    width, extent = int(sys.argv[3]), float(sys.argv[4])
    one, other = (read(path).reshape(-1, width) for path in sys.argv[1:3])
    masked = np.isnan(other)
    known = ~masked
    errors = (one - other)[known]
    scores = {
        "mse": (errors**2).mean(),
        "mae": np.abs(errors).mean(),
        "r2": 1 - (errors**2).mean() / other[known].var(),
        "psnr": peak_signal_noise_ratio(other[known], one[known], data_range=extent),
    }
    one, other = np.where(masked, 0.0, one), np.where(masked, 0.0, other)
    scores["ssim"] = ssim(one, other, masked, extent)
    scores["ms_ssim"], scores["scales"] = ms_ssim(one, other, masked, extent)
    print(json.dumps({name: float(v) if name != "scales" else int(v) for name, v in scores.items()}))


main()
