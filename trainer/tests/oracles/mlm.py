"""A model's item.json as pystac's machine-learning-model extension reads it.

usage: mlm.py ITEM.json   Prints what the extension finds as JSON.
"""

import json
import re
import sys

import pystac
from pystac.extensions.mlm import AssetGeneralMLMExtension, MLMExtension

with open(sys.argv[1]) as file:
    item = pystac.Item.from_dict(json.load(file))
assert MLMExtension.has_extension(item), item.stac_extensions
mlm = MLMExtension.ext(item)
# What the extension's JSON schema asks for beyond the fields that pystac requires.
assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", mlm.mlm_name), mlm.mlm_name
assert "bands" in mlm.input[0].input.dim_order, "bands are named, so a dimension must be theirs"
assert [b["name"] for b in item.properties["bands"]] == mlm.input[0].bands
models = [a for a in item.assets.values() if "mlm:model" in a.roles]
assert len(models) == 1, "exactly one asset is the model"
assert item.geometry["type"] == "Polygon" and item.datetime is None
# The specification has a list, one entry a band; this version of pystac takes one for all.
scaling = mlm.input[0].properties["value_scaling"]
assert [s["type"] for s in scaling] == ["z-score"] * len(mlm.input[0].bands)
print(
    json.dumps(
        {
            "name": mlm.mlm_name,
            "bands": mlm.input[0].bands,
            "input_shape": mlm.input[0].input.shape,
            "output_shape": mlm.output[0].result.shape,
            "tasks": [str(getattr(t, "value", t)) for t in mlm.tasks],
            "means": [s["mean"] for s in scaling],
            "parameters": mlm.total_parameters,
            "framework_version": mlm.framework_version,
            "chip_px": mlm.hyperparameters.to_dict()["chip_px"],
            "artifact_type": AssetGeneralMLMExtension.ext(models[0]).artifact_type,
            "hrefs": [a.href for a in item.assets.values()],
        }
    )
)
