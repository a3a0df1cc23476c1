"""The peer of `bench read`: rasterio reads the same windows of the same files as float32.

Takes a JSON file of jobs and a number of processes; prints seconds (imports and start-up left out)
and the sum of valid values, by which the two readers are compared.
"""

import json
import multiprocessing
import sys
import time

import numpy as np
import rasterio
from rasterio.windows import Window


def read(job):
    """Reads one window of the named bands; fill becomes NaN. Returns the sum of what is valid."""
    with rasterio.open(job["path"]) as source:
        stored = source.read(
            indexes=[b + 1 for b in job["bands"]],
            window=Window(job["column"], job["row"], job["width"], job["height"]),
        )
    scale = np.array(job["scales"], "float32")[:, None, None]
    offset = np.array(job["offsets"], "float32")[:, None, None]
    values = np.multiply(stored, scale, dtype="float32")
    values += offset
    if job["fill"] is not None:
        values[stored == job["fill"]] = np.nan
    return float(np.nansum(values, dtype="float64")) if job["check"] else 0.0


def main():
    with open(sys.argv[1]) as file:
        jobs = json.load(file)
    processes = int(sys.argv[2])
    # What is known to make GDAL open faster: no look at the folder, a cache that holds all.
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 512}
    with rasterio.Env(**options):
        if processes == 1:
            read(jobs[0])
            start = time.perf_counter()
            total = sum(map(read, jobs))
            taken = time.perf_counter() - start
        else:
            with multiprocessing.get_context("fork").Pool(processes) as pool:
                pool.map(read, jobs[:processes], chunksize=1)
                start = time.perf_counter()
                total = sum(pool.map(read, jobs, chunksize=4))
                taken = time.perf_counter() - start
    print(json.dumps({"seconds": taken, "sum": total}))


main()
