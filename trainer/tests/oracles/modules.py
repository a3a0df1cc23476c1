"""Makes modules of all sorts in a folder, or reads a model back and answers with it."""

import importlib
import json
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "python" / "examples"))
from torchscript_map import network, remembered


def made(folder):
    torch.manual_seed(7)
    save = lambda net, name: torch.jit.script(net).save(str(folder / name))
    pooled = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    save(remembered(network()), "map.pt")
    save(remembered(network(outputs=3)), "classes.pt")
    save(remembered(network(outputs=4)), "cover.pt")
    save(remembered(network(outputs=12)), "many.pt")
    save(nn.Sequential(pooled, nn.Linear(8, 1)), "number.pt")
    save(remembered(network(inputs=4)), "four.pt")
    save(network(), "batches.pt")
    save(remembered(network()).double(), "double.pt")
    save(nn.Sequential(nn.ReLU()), "bare.pt")
    frozen = torch.jit.freeze(torch.jit.script(remembered(network()).eval()))
    frozen.save(str(folder / "frozen.pt"))
    torch.save(network().state_dict(), folder / "pickled.pt")
    whole = (folder / "map.pt").read_bytes()
    (folder / "torn.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "noise.pt").write_bytes(bytes(i * 37 % 251 for i in range(4096)))


def read(folder, chips):
    model = torch.jit.load(str(folder / "model.pt"))
    side = int(sys.argv[4])
    chips = torch.frombuffer(bytearray(chips.read_bytes()), dtype=torch.float32)
    with torch.no_grad():
        answers = model(chips.reshape(-1, 3, side, side))
    named = {name: list(p.shape) for name, p in model.named_parameters()}
    told = {"training": model.training, "shapes": named, "answers": answers.flatten().tolist()}
    item = json.loads((folder / "item.json").read_text())
    after = item["properties"]["mlm:output"][0]["post_processing_function"]
    if after["format"] == "python":
        module, function = after["expression"].split(":")
        chances = getattr(importlib.import_module(module), function)(answers)
        told["chances"] = chances.flatten().tolist()
    print(json.dumps(told))


if sys.argv[1] == "make":
    made(Path(sys.argv[2]))
else:
    read(Path(sys.argv[2]), Path(sys.argv[3]))
