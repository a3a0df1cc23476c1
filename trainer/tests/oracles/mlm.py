"""A model's item.json as pystac's machine-learning-model extension reads it.

usage: mlm.py ITEM.json   Prints what the extension finds as JSON.
"""

import json
import re
import sys

import pystac
from pystac.extensions.mlm import AssetGeneralMLMExtension, MLMExtension, TaskType

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
output = mlm.output[0]
tasks = [TaskType(t) for t in mlm.tasks]
assert [TaskType(t) for t in output.tasks] == tasks, "the one output is for all tasks"
classes = output.classes or []
of_classes = {TaskType.CLASSIFICATION, TaskType.SEMANTIC_SEGMENTATION}
assert bool(classes) == bool(of_classes & set(tasks)), "classes are told of who tells them apart"
assert [c.value for c in classes] == list(range(len(classes)))
for c in classes:
    # What the classification extension's schema asks for.
    assert re.fullmatch(r"[0-9A-Za-z-_]+", c.name) and c.description, c.to_dict()
assert ("class" in output.result.dim_order) == (len(classes) == output.result.shape[1])
after = output.post_processing_function
assert after.format in ("python", "gdal-calc"), after.to_dict()
print(
    json.dumps(
        {
            "name": mlm.mlm_name,
            "bands": mlm.input[0].bands,
            "input_shape": mlm.input[0].input.shape,
            "output_shape": output.result.shape,
            "tasks": [t.value for t in tasks],
            "classes": [c.name for c in classes],
            "after": after.expression,
            "means": [s["mean"] for s in scaling],
            "parameters": mlm.total_parameters,
            "framework_version": mlm.framework_version,
            "chip_px": mlm.hyperparameters.to_dict()["chip_px"],
            "artifact_type": AssetGeneralMLMExtension.ext(models[0]).artifact_type,
            "hrefs": [a.href for a in item.assets.values()],
        }
    )
)
