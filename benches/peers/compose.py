"""The peer of `bench compose`: the median of several dates of one cell with rasterio and xarray.

usage: compose.py OUT.tif FILE.tif ...     (one file a date, the same bands on the same grid)

Reads all files with two threads, masks fill, takes the median over time, writes a GeoTIFF. For each
line on stdin one run is made and its seconds are printed: imports and start-up are not counted. The
faster of numpy's and dask's median stands for the peer.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import rasterio
import xarray as xr


def read(path):
    with rasterio.open(path) as file:
        bands = file.read(list(range(1, 5)))
        return np.where(bands == file.nodata, np.nan, bands.astype("f4"))


def stack(paths):
    with ThreadPoolExecutor(2) as pool:
        dates = list(pool.map(read, paths))
    return xr.DataArray(np.stack(dates), dims=("time", "band", "y", "x"))


def write(out, like, median):
    with rasterio.open(like) as file:
        profile = file.profile | {"count": 4, "dtype": "uint16", "compress": "zstd"}
    with rasterio.open(out, "w", **profile) as file:
        file.write(np.nan_to_num(median).round().astype("u2"))


def by_numpy(cube):
    return cube.median("time").values


def by_dask(cube):
    chunked = cube.chunk({"time": -1, "band": 1, "y": 256, "x": 256})
    with dask.config.set(scheduler="threads", num_workers=2):
        return chunked.median("time").compute().values


def main():
    out, paths = sys.argv[1], sys.argv[2:]
    for line in sys.stdin:
        way = {"numpy": by_numpy, "dask": by_dask}[line.strip()]
        start = time.perf_counter()
        write(out, paths[0], way(stack(paths)))
        print(time.perf_counter() - start, flush=True)


main()
