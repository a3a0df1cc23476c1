#!/usr/bin/env python3
"""Prints the golden grids of ../geo/grid.rs and docs/FORMATS.md from the text of the rule alone.

Run:  python3 earth/tests/oracles/grid.py > earth/tests/geo/grid_vectors.txt
Lines: scheme cell resolution width height west north pixel_width pixel_height exact
"""
import math
from fractions import Fraction

A, F = 6378137.0, 1 / 298.257223563
E2 = F * (2 - F)
HALF = math.pi * A
ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"


def locate(scheme, cell):
    """Returns column from west, row from north, columns, rows."""
    x = y = nx = ny = 0
    if scheme == "geohash":
        bits = "".join(f"{ALPHABET.index(c):05b}" for c in cell)
        lon, lat = bits[0::2], bits[1::2]
        nx, ny = len(lon), len(lat)
        x, y = int(lon, 2), 2**ny - 1 - int(lat, 2)
    else:
        nx = ny = len(cell)
        x = int("".join(str(int(d) & 1) for d in cell), 2)
        y = int("".join(str(int(d) >> 1) for d in cell), 2)
    return x, y, 2**nx, 2**ny


def ground(scheme, cell):
    """Width and height in metres at the cell's centre on the WGS 84 ellipsoid."""
    _, y, nx, ny = locate(scheme, cell)
    if scheme == "geohash":
        phi = math.radians(90 - 180 * (y + 0.5) / ny)
        dlon, dlat = 2 * math.pi / nx, math.pi / ny
    else:
        phi = math.atan(math.sinh(math.pi * (1 - 2 * (y + 0.5) / ny)))
        dlon, dlat = 2 * math.pi / nx, 2 * math.pi / ny * math.cos(phi)
    w2 = 1 - E2 * math.sin(phi) ** 2
    return dlon * A / math.sqrt(w2) * math.cos(phi), dlat * A * (1 - E2) / w2**1.5


def nearest(value, step):
    return max(1, math.floor(value / step + 0.5)) * step


def anchor_side(pixels):
    if pixels >= 8192:
        return nearest(pixels, 1024)
    return nearest(pixels, 32 if pixels >= 16 else 1)


def grid(scheme, cell, metres):
    anchor = cell[: 3 if scheme == "geohash" else 6]
    wide, high = (anchor_side(side / metres) for side in ground(scheme, anchor))
    x, y, nx, ny = locate(scheme, cell)
    _, _, ax, ay = locate(scheme, anchor)
    width, height = Fraction(wide, nx // ax), Fraction(high, ny // ay)
    exact = width.denominator == 1 and height.denominator == 1
    if not exact:
        width, height = (nearest(side / metres, 1) for side in ground(scheme, cell))
    across, down = (360.0, 180.0) if scheme == "geohash" else (2 * HALF, 2 * HALF)
    west, north = -across / 2 + across / nx * x, down / 2 - down / ny * y
    return width, height, west, north, across / nx / int(width), down / ny / int(height), exact


CELLS = [
    ("geohash", "gcpvj", (10, 20, 60, 1000)),
    ("geohash", "9xjq8", (0.6, 1, 10, 30, 250)),
    ("geohash", "s0000", (10,)),
    ("geohash", "9xj", (10, 30, 1000, 10000)),
    ("geohash", "9", (1000,)),
    ("geohash", "9xjq8zs", (10,)),
    ("geohash", "9xjq8zs6", (10, 1)),
    ("geohash", "zzzzz", (10,)),
    ("geohash", "u4pruydqqvj", (0.6,)),
    ("quadtile", "02310101", (30,)),
    ("quadtile", "0231010111", (10, 0.6)),
    ("quadtile", "0313131311", (10, 20, 60, 500)),
    ("quadtile", "0", (1000,)),
    ("quadtile", "12222222222222222222222", (1,)),
]
for scheme, cell, resolutions in CELLS:
    for metres in resolutions:
        w, h, west, north, dx, dy, exact = grid(scheme, cell, metres)
        print(scheme, cell, metres, w, h, repr(west), repr(north), repr(dx), repr(dy), exact)
