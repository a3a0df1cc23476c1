"""Synthetic GeoTIFF scenes with the shape and the looks of three sensors, for benchmarks.

    scenes.py landsat|naip|modis|nlcd SIZE FILE.tif

Smooth ground with the noise of a sensor, so that they compress about as real ones do; a side-car
says dataset and date. The same arguments give the same bytes.
"""

import json
import sys

import numpy as np
import rasterio
from rasterio.transform import from_origin

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
ALBERS = "EPSG:5070"
# dtype, crs, upper left corner, pixel, fill, bands, range of values, noise, block, interleave
LOOKS = {
    "landsat": ("uint16", "EPSG:32633", (300000.0, 5400000.0), 30.0, 0, 7,
                (7000, 22000), 60, 256, "band"),
    "naip": ("uint8", "EPSG:26914", (400000.0, 5200000.0), 1.0, None, 4,
             (30, 220), 3, 256, "pixel"),
    "modis": ("int16", SINUSOIDAL, (1111950.5, 5559752.6), 463.3127165, -28672, 7,
              (100, 6000), 40, 512, "band"),
    "nlcd": ("uint8", ALBERS, (-1000000.0, 2000000.0), 30.0, 0, 1,
             (0, 15), 0, 512, "band"),
}
COMMON = ["coastal", "blue", "green", "red", "nir", "swir16", "swir22"]


def ground(rng, size):
    """Blocks of several sizes, 0..1."""
    out = np.zeros((size, size), np.float32)
    for side, weight in ((256, 1.0), (64, 0.5), (16, 0.3), (4, 0.15)):
        few = rng.random((size // side + 1, size // side + 1), dtype=np.float32)
        wide = np.repeat(np.repeat(few, side, 0), side, 1)
        out += weight * wide[:size, :size]
    out -= out.min()
    return out / out.max()


def main(name, size, path):
    kind, crs, corner, pixel, fill, bands, (low, high), noise, block, interleave = LOOKS[name]
    rng = np.random.default_rng(5)
    limits = np.iinfo(kind)
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=bands, dtype=kind, crs=crs,
        transform=from_origin(*corner, pixel, pixel), nodata=fill, tiled=True, blockxsize=block,
        blockysize=block, compress="deflate", predictor=2, interleave=interleave,
    ) as out:
        base = ground(rng, size)
        for band in range(bands):
            values = 0.7 * base + 0.3 * ground(rng, size)
            values = low + (high - low) * values
            values += rng.standard_normal((size, size), dtype=np.float32) * noise
            values = np.clip(values, max(limits.min, 1), limits.max)
            out.write(values.astype(kind), band + 1)
    side = {"dataset": "naip" if name == "naip" else "generic", "datetime": "2019-07-01T10:00:00Z"}
    if name == "nlcd":
        side["bands"] = [{"name": "landcover", "categorical": True}]
    elif name != "naip":
        named = enumerate(COMMON[:bands], 1)
        side["bands"] = [{"name": f"B{i}", "common": c, "scale": 0.0001} for i, c in named]
    with open(path.removesuffix(".tif") + ".json", "w") as out:
        json.dump(side, out)


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
