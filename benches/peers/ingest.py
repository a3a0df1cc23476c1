"""The peers of `cargo xtask bench ingest`: rasterio (GDAL), two processes.

    ingest.py cut PLAN.json         a WarpedVRT a cell and band, written as tiled ZSTD GeoTIFF
    ingest.py decode PLAN.json      every block of every band read once, nothing done with it
    ingest.py recompress PLAN.json  read once and written again, tiled, ZSTD: no reprojection

PLAN.json, written by the benchmark:
    {"processes": 2, "out": DIR, "level": 3, "tile": 512,
     "groups": [{"name", "resampling", "fill", "crs",
                 "bands": [{"path", "index"}],
                 "cells": [{"geocode", "transform": [6 numbers, GDAL's order], "width", "height"}]}]}

Written files hold what glebe's do but for overviews, metadata, statistics, texture and checksums;
nothing is fsynced. Coordinates are taken with GDAL's default tolerance of 1/8 pixel, which is
quicker than the exact ones that glebe takes.
"""

import json
import os
import sys
from multiprocessing import Pool

import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

PLAN = json.load(open(sys.argv[2]))
# One thread a process: processes are what is compared.
ENV = {"GDAL_NUM_THREADS": "1", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}


def profile(group, width, height, bands, dtype):
    side = lambda n: min(-(-n // 16) * 16, PLAN["tile"])
    return {
        "driver": "GTiff", "width": width, "height": height, "count": bands, "dtype": dtype,
        "crs": group["crs"], "nodata": group["fill"], "tiled": True,
        "blockxsize": side(width), "blockysize": side(height), "interleave": "band",
        "compress": "zstd", "zstd_level": PLAN["level"], "predictor": 2,
    }


def cut(share):
    """Cuts the cells of one process: a stretch of rows, so that blocks are decoded once."""
    number, count = share
    with rasterio.Env(**ENV):
        for group in PLAN["groups"]:
            cells = group["cells"]
            own = cells[len(cells) * number // count:len(cells) * (number + 1) // count]
            paths = {band["path"] for band in group["bands"]}
            sources = {path: rasterio.open(path) for path in sorted(paths)}
            for cell in own:
                cut_cell(group, cell, sources)


def cut_cell(group, cell, sources):
    folder = os.path.join(PLAN["out"], cell["geocode"])
    os.makedirs(folder, exist_ok=True)
    shape = (cell["width"], cell["height"])
    transform = Affine.from_gdal(*cell["transform"])
    first = sources[group["bands"][0]["path"]]
    kind = profile(group, *shape, len(group["bands"]), first.dtypes[0])
    with rasterio.open(
        os.path.join(folder, group["name"]), "w", transform=transform, **kind
    ) as out:
        for number, band in enumerate(group["bands"]):
            with WarpedVRT(
                sources[band["path"]], crs=group["crs"], transform=transform,
                width=shape[0], height=shape[1], src_nodata=group["fill"], nodata=group["fill"],
                resampling=Resampling[group["resampling"]],
            ) as warped:
                out.write(warped.read(band["index"]), number + 1)


def pieces():
    """All files, in stretches of block rows."""
    found = {}
    for group in PLAN["groups"]:
        for band in group["bands"]:
            found.setdefault(band["path"], []).append(band["index"])
    for path, bands in sorted(found.items()):
        with rasterio.open(path) as source:
            rows = source.block_shapes[0][0]
            rows *= max(1, 1024 // rows)
            for row in range(0, source.height, rows):
                yield path, bands, row, min(rows, source.height - row)


OPEN = {}


def read(piece):
    path, bands, row, rows = piece
    with rasterio.Env(**ENV):
        if path not in OPEN:
            OPEN[path] = rasterio.open(path)
        source = OPEN[path]
        return source, source.read(bands, window=Window(0, row, source.width, rows))


def decode(piece):
    read(piece)


def recompress(piece):
    source, pixels = read(piece)
    path, _, row, rows = piece
    name = f"{os.path.basename(path)}-{row}.tif"
    group = {"crs": source.crs, "fill": source.nodata}
    kind = profile(group, source.width, rows, len(pixels), source.dtypes[0])
    with rasterio.Env(**ENV), rasterio.open(os.path.join(PLAN["out"], name), "w", **kind) as out:
        out.write(pixels)


def main():
    count = PLAN["processes"]
    os.makedirs(PLAN["out"], exist_ok=True)
    with Pool(count) as pool:
        if sys.argv[1] == "cut":
            work = pool.imap_unordered(cut, [(i, count) for i in range(count)], 1)
        else:
            step = {"decode": decode, "recompress": recompress}[sys.argv[1]]
            work = pool.imap_unordered(step, list(pieces()), 1)
        for _ in work:
            pass


main()
