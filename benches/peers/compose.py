"""The peer of `bench compose`: the median of several dates of one cell with rasterio and xarray.

usage: compose.py OUT.tif FILE.tif ...     (one file a date, the same bands on the same grid)

Reads all files with two threads, masks fill, takes the median over time, writes a GeoTIFF. For each
line on stdin one run is made and its seconds are printed: imports, start-up and STAC items are not
counted. `numpy` and `dask` read with rasterio; `odc` loads a cube with odc-stac, as its users do.
"""

import datetime
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import dask
import numpy as np
import odc.stac
import pystac
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds


def read(path):
    with rasterio.open(path) as file:
        bands = file.read(list(range(1, 5)))
        return np.where(bands == file.nodata, np.nan, bands.astype("f4"))


def stack(paths):
    with ThreadPoolExecutor(2) as pool:
        dates = list(pool.map(read, paths))
    return xr.DataArray(np.stack(dates), dims=("time", "band", "y", "x"))


def item(number, path):
    """One date as a STAC item with one asset of four bands."""
    with rasterio.open(path) as file:
        west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
        corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        band = {"data_type": file.dtypes[0], "nodata": file.nodata}
        asset = pystac.Asset(os.path.abspath(path), media_type=pystac.MediaType.COG, roles=["data"])
        asset.extra_fields = {
            "raster:bands": [band] * 4,
            "eo:bands": [{"name": f"b{i}"} for i in range(1, 5)],
            "proj:epsg": file.crs.to_epsg(),
            "proj:shape": list(file.shape),
            "proj:transform": list(file.transform)[:6],
        }
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    found = pystac.Item(
        id=f"date-{number}",
        geometry={"type": "Polygon", "coordinates": [corners]},
        bbox=[west, south, east, north],
        datetime=day + datetime.timedelta(days=number),
        properties={"proj:epsg": asset.extra_fields["proj:epsg"]},
        collection="cell",
        stac_extensions=[
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
        ],
    )
    found.add_asset("r10", asset)
    return found


def by_odc(items, like):
    bands = [f"r10.{i}" for i in range(1, 5)]
    cube = odc.stac.load(items, bands=bands, geobox=like, chunks={"x": 256, "y": 256})
    cube = cube.to_dataarray("band")
    cube = cube.where(cube != cube.attrs.get("nodata", 0)).chunk({"time": -1})
    with dask.config.set(scheduler="threads", num_workers=2):
        return cube.median("time").compute().values


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
    items = [item(number, path) for number, path in enumerate(paths)]
    with rasterio.open(paths[0]) as file:
        like = GeoBox(file.shape, file.transform, file.crs)
    ways = {
        "numpy": lambda: by_numpy(stack(paths)),
        "dask": lambda: by_dask(stack(paths)),
        "odc": lambda: by_odc(items, like),
    }
    for line in sys.stdin:
        way = ways[line.strip()]
        start = time.perf_counter()
        write(out, paths[0], way())
        print(time.perf_counter() - start, flush=True)


main()
