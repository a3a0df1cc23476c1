"""Checks with nothing of glebe's code that every stored split lies on its owners.

usage: placement.py layout.json hits.ndjson NODE_ID=DATA_FOLDER ...
"""
import hashlib, json, os, sys

layout = json.load(open(sys.argv[1]))
folders = dict(a.split("=", 1) for a in sys.argv[3:])
splits = 0
for line in open(sys.argv[2]):
    hit = json.loads(line)
    key = hit["geocode"]  # placement rule: the whole geocode
    slot = int.from_bytes(hashlib.sha1(key.encode()).digest()[:2], "big") >> 2
    owners = [layout["nodes"][i]["id"] for i in layout["slots"][slot]]
    assert owners == hit["owners"], (hit["id"], owners, hit["owners"])
    name = hit["id"].replace("/", "+")
    for node, folder in folders.items():
        there = os.path.isdir(f"{folder}/objects/split/{slot:04x}/{name}")
        assert there == (node in owners), (hit["id"], node, there)
    splits += 1
print(f"{splits} splits, all on their owners")
