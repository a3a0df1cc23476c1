"""Resamples one band with rasterio for each case of a JSON list.

usage: resample.py CASES.json FOLDER
case: {"name", "path" or "raw" + "dtype" + "size" [w, h], "band", "window" [x, y, w, h],
       "fill", "target" [w, h], "start" [x, y], "step" [x, y], "method"}
writes FOLDER/NAME.src and NAME.dst (raw, little-endian, row by row) and NAME.json
"""

import json
import sys

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window


def read(case):
    if "path" in case:
        with rasterio.open(case["path"]) as file:
            return file.read(case.get("band", 1), window=Window(*case["window"]))
    width, height = map(int, case["size"])
    return np.fromfile(case["raw"], dtype=case["dtype"]).reshape(height, width)


def resample(case, source):
    (x, y), (dx, dy) = case["start"], case["step"]
    width, height = map(int, case["target"])
    fill = case.get("fill")
    void = fill if fill is not None else (np.nan if source.dtype.kind == "f" else 0)
    out = np.full((height, width), void, dtype=source.dtype)
    # Ten units a pixel, far from the origin, as on the ground.
    ground = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0)
    reproject(
        source,
        out,
        src_transform=ground,
        dst_transform=ground * Affine(dx, 0.0, x, 0.0, dy, y),
        src_crs="EPSG:32633",
        dst_crs="EPSG:32633",
        src_nodata=fill,
        dst_nodata=void,
        resampling=getattr(Resampling, case["method"]),
        tolerance=0.0,
    )
    return out


def main():
    cases, folder = json.load(open(sys.argv[1])), sys.argv[2]
    for case in cases:
        source = read(case)
        out = resample(case, source)
        stem = f"{folder}/{case['name']}"
        source.tofile(f"{stem}.src")
        out.tofile(f"{stem}.dst")
        with open(f"{stem}.json", "w") as file:
            json.dump({"dtype": source.dtype.name, "size": list(source.shape[::-1])}, file)


main()
