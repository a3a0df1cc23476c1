"""Combines scenes by each rule with numpy alone, in 64-bit floats.

usage: splice.py CASES.json FOLDER
case: {"name", "raw", "sky", "dtype", "shape" [scenes, bands, pixels], "fill", "scale", "rule",
       "roles" [...]}   sky: one byte a scene and pixel (0 void, 1 clear, 2 cloud, 3 shadow, 4 snow,
       9 no mask in this scene)
writes FOLDER/NAME.values (f64, band by band), NAME.valid (u8) and NAME.from (u16)
"""

import json
import sys

import numpy as np


def levels(valid, sky, measured):
    """How good each scene's pixel is: 0..4, the lesser the better (see splice::Quality)."""
    any_, all_ = valid[:, measured].any(1), valid[:, measured].all(1)
    veiled = ~np.isin(sky, (1, 4, 9))
    rank = np.where(veiled, 2, 0) + np.where(all_, 0, 1)
    return np.where(any_, rank, 4)


def majority(values):
    found, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    return found[counts.argmax()]


def median(x, valid, sky, integer, roles):
    veiled = ~np.isin(sky, (1, 4, 9))
    out = np.full(x.shape[1:], np.nan)
    for band in range(x.shape[1]):
        level = np.where(valid[:, band], veiled.astype(int), 2)
        use = valid[:, band] & (level == level.min(0))
        values = np.where(use, x[:, band], np.nan)
        some = use.any(0)
        if roles[band] == "class":
            out[band, some] = [majority(v) for v in values[:, some].T]
        else:
            out[band, some] = np.nanmedian(values[:, some], axis=0)
    return np.floor(out + 0.5) if integer else out


def medoid(y, rank, best, chosen):
    scenes = range(len(y))
    for p in range(y.shape[2]):
        here = [s for s in scenes if rank[s, p] == best[p] and best[p] in (0, 2)]
        least = np.inf
        for s in here:
            total = 0.0
            for t in scenes:
                if t in here and t != s:
                    square = 0.0
                    for b in range(y.shape[1]):
                        square += (y[s, b, p] - y[t, b, p]) ** 2
                    total += np.sqrt(square)
            if total < least:
                least, chosen[p] = total, s + 1
    return chosen


def max_ndvi(y, valid, roles, rank, best, chosen):
    red, nir = roles.index("red"), roles.index("nir")
    greatest = np.full(y.shape[2], -np.inf)
    with np.errstate(all="ignore"):
        for s in range(len(y)):
            ndvi = (y[s, nir] - y[s, red]) / (y[s, nir] + y[s, red])
            ok = valid[s, red] & valid[s, nir] & (rank[s] == best) & np.isfinite(ndvi)
            better = ok & (ndvi > greatest)
            greatest[better], chosen[better] = ndvi[better], s + 1
    return chosen


def combine(case):
    shape = case["shape"]
    x = np.fromfile(case["raw"], dtype=case["dtype"]).reshape(shape)
    integer = x.dtype.kind != "f"
    sky = np.fromfile(case["sky"], dtype="u1").reshape(shape[0], shape[2])
    valid = (x != case["fill"]) if integer else ~np.isnan(x)
    x = x.astype("f8")
    measured = [i for i, r in enumerate(case["roles"]) if r != "class"]
    rank = levels(valid, sky, measured)
    best = rank.min(0)
    if case["rule"] == "median":
        out = median(x, valid, sky, integer, case["roles"])
        level = np.where(rank == 4, 2, rank // 2)
        count = ((level == level.min(0)) & (rank != 4)).sum(0)
        return out, ~np.isnan(out), count
    chosen = np.where(best == 4, 0, rank.argmin(0) + 1)
    y = (x * case["scale"])[:, measured]
    if case["rule"] == "medoid":
        chosen = medoid(y, rank, best, chosen)
    if case["rule"] == "max-ndvi":
        chosen = max_ndvi(x * case["scale"], valid, case["roles"], rank, best, chosen)
    pick = np.maximum(chosen, 1) - 1
    columns = np.arange(shape[2])
    out, ok = x[pick, :, columns].T, valid[pick, :, columns].T
    return out, ok & (chosen > 0), chosen


def main():
    for case in json.load(open(sys.argv[1])):
        out, valid, chosen = combine(case)
        stem = f"{sys.argv[2]}/{case['name']}"
        np.where(valid, out, 0).astype("<f8").tofile(stem + ".values")
        valid.astype("u1").tofile(stem + ".valid")
        chosen.astype("<u2").tofile(stem + ".from")


main()
