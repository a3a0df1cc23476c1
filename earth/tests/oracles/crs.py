#!/usr/bin/env python3
"""Writes ../geo/crs_vectors.txt: positions as PROJ computes them (through gdaltransform).

Run:  python3 earth/tests/oracles/crs.py > earth/tests/geo/crs_vectors.txt
Made with GDAL 3.6.2, PROJ 9.1.1. Lines: system | longitude | latitude | x | y
"""
import subprocess

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
CONIC = "+proj=lcc +lat_1=33 +lat_2=45 +lat_0=39 +lon_0=-96 +x_0=0 +y_0=0 +datum=NAD83 +units=m +no_defs"
AFRICA = "+proj=tmerc +lat_0=0 +lon_0=29 +k=1 +x_0=0 +y_0=0 +ellps=WGS84 +units=m +no_defs"
CONUS = [(-96.0, 23.0), (-124.5, 48.3), (-67.2, 44.9), (-80.1, 25.2), (-104.98, 39.74)]
WORLD = [(0.0, 0.0), (-179.5, 71.2), (179.9, -70.0), (12.5, 41.9), (-70.6, -33.4)]
NORTH = [(-45.0, 70.0), (0.0, 89.9), (178.0, 66.0), (-150.3, 71.3), (20.0, 60.5)]
SOUTH = [(lon, -lat) for lon, lat in NORTH]
EUROPE = [(10.0, 52.0), (-9.1, 38.7), (24.9, 60.2), (14.5, 46.05), (33.3, 35.1)]
AUSTRALIA = [(132.0, -25.0), (115.9, -31.9), (151.2, -33.9), (145.8, -16.9), (147.3, -42.9)]


def utm(zone, lats):
    """Points in and a little past a zone: scenes reach over the zone's edge."""
    middle = zone * 6 - 183
    return [(middle + dlon, lat) for dlon in (-4.2, -1.7, 0.0, 3.9) for lat in lats]


SYSTEMS = (
    [(f"EPSG:{32600 + z}", utm(z, (0.5, 36.2, 64.1, 83.5))) for z in (1, 15, 29, 31, 33, 43, 60)]
    + [(f"EPSG:{32700 + z}", utm(z, (-0.5, -12.1, -45.7, -79.0))) for z in (1, 21, 34, 58, 60)]
    + [(f"EPSG:{26900 + z}", utm(z, (25.0, 38.9, 49.0, 70.0))) for z in (4, 10, 14, 19)]
    + [(f"EPSG:{25800 + z}", utm(z, (35.0, 47.3, 68.0))) for z in (28, 32, 38)]
    + [(f"EPSG:{28300 + z}", utm(z, (-12.0, -35.0))) for z in (50, 56)]
    + [(f"EPSG:{7800 + z}", utm(z, (-12.0, -35.0))) for z in (50, 56)]
    + [("EPSG:4326", WORLD), ("EPSG:4269", CONUS), ("EPSG:4258", EUROPE)]
    + [("EPSG:4283", AUSTRALIA), ("EPSG:7844", AUSTRALIA)]
    + [("EPSG:3857", WORLD), ("EPSG:6933", WORLD), (SINUSOIDAL, WORLD)]
    + [("EPSG:3413", NORTH), ("EPSG:3995", NORTH), ("EPSG:3031", SOUTH)]
    + [("EPSG:5070", CONUS), (CONIC, CONUS), ("EPSG:3035", EUROPE), ("EPSG:3577", AUSTRALIA)]
    + [(AFRICA, [(29.0, 0.0), (31.7, -1.9), (25.3, 12.2)])]
)

for system, points in SYSTEMS:
    lines = "".join(f"{lon!r} {lat!r}\n" for lon, lat in points)
    command = ["gdaltransform", "-s_srs", "EPSG:4326", "-t_srs", system, "-output_xy"]
    answer = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    for (lon, lat), line in zip(points, answer.stdout.splitlines(), strict=True):
        x, y = line.split()
        print(system, lon, lat, x, y, sep="|")
