"""What other software says of exported files: one JSON object about the path in argv[1]."""

import json
import sys
import warnings

import numpy as np


def array(values):
    """Shape, type, sums: enough to tell arrays apart without sending them."""
    values = np.asarray(values)
    numbers = values.astype("float64")
    weights = np.arange(1, numbers.size + 1, dtype="float64").reshape(numbers.shape) % 997
    return {
        "shape": list(values.shape),
        "dtype": str(values.dtype),
        "valid": int(np.isfinite(numbers).sum()),
        "sum": float(np.nansum(numbers)),
        "weighted": float(np.nansum(numbers * weights)),
    }


def tif(path):
    import rasterio
    from rio_cogeo.cogeo import cog_validate

    whole, errors, remarks = cog_validate(path, strict=True, quiet=True)
    with rasterio.open(path) as source:
        return {
            "cog": whole and not errors and not remarks,
            "data": array(source.read()),
            "bands": list(source.descriptions),
            "nodata": source.nodata,
            "scales": list(source.scales),
            "offsets": list(source.offsets),
            "crs": source.crs.to_string(),
            "transform": list(source.transform.to_gdal()),
            "overviews": source.overviews(1),
            "tags": source.tags(),
        }


def npy(path):
    return {"data": array(np.load(path, allow_pickle=False))}


def npz(path):
    with np.load(path, allow_pickle=False) as arrays:
        said = {"data": array(arrays["data"]), "mask": array(arrays["mask"])}
        said["times"] = [str(t) for t in arrays["times"]]
        said["crs"] = str(arrays["crs"])
        for name in ("bands", "scenes", "scale", "offset", "fill", "transform"):
            said[name] = arrays[name].tolist()
        said["masked"] = array(np.where(arrays["mask"], arrays["data"], 0))
    return said


def png(path):
    from PIL import Image

    picture = Image.open(path)
    picture.load()
    values = np.asarray(picture)
    opaque = values[..., -1] > 0
    return {
        "mode": picture.mode,
        "data": array(values),
        "opaque": int(opaque.sum()),
        "greys": len(np.unique(values[opaque][..., :-1])) if opaque.any() else 0,
        "title": picture.info.get("Title"),
    }


def zarr(path):
    import xarray as xr

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cube = xr.open_zarr(path, consolidated=True)
        stored = xr.open_zarr(path, consolidated=True, mask_and_scale=False)
    import pyproj

    place = pyproj.CRS.from_user_input(cube["spatial_ref"].attrs["spatial_ref"])
    return {
        "sizes": {name: int(size) for name, size in cube.sizes.items()},
        "names": sorted(cube.data_vars),
        "bands": cube.attrs["bands"],
        "scenes": cube.attrs["scenes"],
        "code": cube.attrs["proj:code"],
        "epsg": place.to_epsg(),
        "times": [str(t) for t in cube["time"].values.astype("datetime64[us]")],
        "x": [float(cube["x"][0]), float(cube["x"][-1])],
        "y": [float(cube["y"][0]), float(cube["y"][-1])],
        "stored": array(np.stack([stored[b].values for b in cube.attrs["bands"]], axis=1)),
        "physical": array(np.stack([cube[b].values for b in cube.attrs["bands"]], axis=1)),
    }


def h5(path):
    import h5py

    with h5py.File(path) as file:
        said = {"keys": sorted(file)}
        for key in file:
            dataset = file[key]
            entry = {"attributes": {}}
            for name, value in dataset.attrs.items():
                value = np.asarray(value)
                text = value.dtype.kind == "S"
                entry["attributes"][name] = (value.astype("U") if text else value).tolist()
            if dataset.dtype.kind != "S":
                entry["data"] = array(dataset[...])
            said[key] = entry
    return said


def main():
    path = sys.argv[1].rstrip("/")
    readers = {"tif": tif, "npy": npy, "npz": npz, "png": png, "zarr": zarr, "h5": h5}
    # NaN is no JSON.
    print(json.dumps(readers[path.rsplit(".", 1)[1]](path)).replace("NaN", "null"))


main()
