"""Lays delivered imagery beside what models answered for it, as S001's Fig. 13.

    pictures.py SCENE.SAFE NDMI.tif CLEAR.tif OUT.png

SCENE is a synthetic Sentinel-2 product, NDMI.tif a map of `ndmi-unet` and CLEAR.tif one of `spagan`, both of the
scene. In rows: what was delivered (colours; NDMI of B8A and B11), what was answered (colours without
clouds; NDMI).
"""

import glob
import sys

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

GAP_PX, STEP, OFFSET, SCALE = 12, 3, -1000.0, 1e-4
# From dry to moist, as maps of moisture indices are coloured.
RAMP = np.array([[140, 81, 10], [216, 179, 101], [246, 232, 195], [199, 234, 229], [90, 180, 172], [1, 102, 94]])


def band(scene, name, like):
    path = sorted(glob.glob(f"{scene}/GRANULE/*/IMG_DATA/**/*_{name}*.jp2", recursive=True))[0]
    with rasterio.open(path) as source, WarpedVRT(
        source, crs=like.crs, transform=like.transform, width=like.width, height=like.height,
        resampling=Resampling.nearest, nodata=0,
    ) as grid:
        values = grid.read(1).astype(np.float32)
    return np.where(values > 0, (values + OFFSET) * SCALE, np.nan)


def colours(red, green, blue):
    image = np.clip(np.stack([red, green, blue], axis=-1) / 0.35, 0, 1) ** 0.7 * 255
    return np.where(np.isnan(image), 255, image).astype(np.uint8)


def moisture(index):
    place = np.clip((index + 0.3) / 0.9, 0, 1) * (len(RAMP) - 1)
    known = np.where(np.isnan(place), 0, place)
    image = np.stack([np.interp(known, range(len(RAMP)), RAMP[:, i]) for i in range(3)], axis=-1)
    image[np.isnan(place)] = 255
    return image.astype(np.uint8)


def main(scene, ndmi, clear, out):
    with rasterio.open(ndmi) as like:
        answer = like.read(1)
        bands = {name: band(scene, name, like) for name in ("B04_10m", "B03_10m", "B02_10m", "B8A_20m", "B11_20m")}
    with rasterio.open(clear) as source:
        restored = source.read([1, 2, 3])
    nir, swir = bands["B8A_20m"], bands["B11_20m"]
    rows = [
        [colours(*(bands[b] for b in ("B04_10m", "B03_10m", "B02_10m"))), moisture((nir - swir) / (nir + swir))],
        [colours(*restored), moisture(answer)],
    ]
    known = [np.flatnonzero(np.any(~np.isnan(nir), axis=axis)) for axis in (1, 0)]
    window = tuple(slice(lines[0], lines[-1] + 1) for lines in known)
    rows = [[image[window] for image in row] for row in rows]
    height, width = rows[0][0].shape[:2]
    sheet = np.full((2 * height + GAP_PX, 2 * width + GAP_PX, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + GAP_PX), j * (width + GAP_PX)
            sheet[top : top + height, left : left + width] = image
    sheet = sheet[::STEP, ::STEP]
    with rasterio.open(out, "w", driver="PNG", width=sheet.shape[1], height=sheet.shape[0], count=3, dtype="uint8") as png:
        png.write(np.moveaxis(sheet, -1, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
