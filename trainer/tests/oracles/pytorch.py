"""Each recipe's network as a PyTorch module, beside its TorchScript file, on the same chips.

usage: pytorch.py FOLDER CHIPS.f32   (FOLDER: a model's; chips: n x 3 x side x side, normalised)
Prints {"module": [...], "script": [...]}: the answers of the module that the weights were loaded into,
and of model.pt.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn


def load_file(path):
    """Tensors of a safetensors file, by the documented layout: Debian's PyTorch has no reader."""
    raw = Path(path).read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        numbers = np.frombuffer(raw[begin:end], dtype="<f4").reshape(entry["shape"])
        tensors[name] = torch.from_numpy(numbers.astype(np.float32))
    return tensors


class NdviCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell1 = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.cell2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.cell3 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.hidden = nn.Linear(64, 32)
        self.answer = nn.Linear(32, 1)

    def forward(self, chips):
        maps = chips
        for cell in (self.cell1, self.cell2, self.cell3):
            maps = torch.relu(cell(maps))
        hidden = torch.relu(self.hidden(maps.mean(dim=(2, 3))))
        return self.answer(hidden)[:, :, None, None]


class Block(nn.Module):
    def __init__(self, conv, channels):
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.LeakyReLU()

    def forward(self, maps):
        return self.activation(self.norm(self.conv(maps)))


class NdmiUnet(nn.Module):
    def __init__(self):
        super().__init__()
        down = lambda a, b, step: Block(nn.Conv2d(a, b, 3, step, 1, bias=False), b)
        up = lambda a, b: Block(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), b)
        self.down0, self.down1 = down(3, 16, 1), down(16, 32, 2)
        self.down2, self.down3 = down(32, 64, 2), down(64, 128, 2)
        self.up2, self.up1, self.up0 = up(128, 64), up(128, 32), up(64, 16)
        self.answer = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, chips):
        full = self.down0(chips)
        half = self.down1(full)
        quarter = self.down2(half)
        maps = self.up2(self.down3(quarter))
        maps = self.up1(torch.cat([maps, quarter], 1))
        maps = self.up0(torch.cat([maps, half], 1))
        return self.answer(torch.cat([maps, full], 1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(32, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)

    def forward(self, maps, attention=1.0):
        return torch.relu(maps + self.conv2(torch.relu(self.conv1(maps))) * attention)


class Sweep(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 8))

    def forward(self, maps):
        sides = []
        for weight, (turn, back) in zip(self.weight, TURNS):
            rows, states = turn(maps).unbind(2), []
            for row in rows:
                before = states[-1] * weight[:, None] if states else 0
                states.append(torch.relu(row + before))
            sides.append(back(torch.stack(states, 2)))
        return sides


TURNS = [
    (lambda m: m, lambda m: m),
    (lambda m: m.flip(2), lambda m: m.flip(2)),
    (lambda m: m.mT, lambda m: m.mT),
    (lambda m: m.mT.flip(2), lambda m: m.flip(2).mT),
]


class Attentive(Residual):
    def __init__(self):
        super().__init__()
        self.gates = nn.Conv2d(32, 4, 3, padding=1)
        self.enter = nn.Conv2d(32, 8, 3, padding=1)
        self.sweep1, self.sweep2 = Sweep(), Sweep()
        self.join1 = nn.Conv2d(32, 8, 3, padding=1)
        self.join2 = nn.Conv2d(32, 8, 3, padding=1)
        self.mask = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, maps):
        gates = torch.sigmoid(self.gates(maps)).split(1, 1)
        inner = self.enter(maps)
        for sweep, join in ((self.sweep1, self.join1), (self.sweep2, self.join2)):
            gated = [side * gate for side, gate in zip(sweep(inner), gates)]
            inner = join(torch.cat(gated, 1))
        return super().forward(maps, torch.sigmoid(self.mask(torch.relu(inner))))


class SpaGan(nn.Module):
    def __init__(self):
        super().__init__()
        self.widen = nn.Conv2d(3, 32, 3, padding=1)
        for i in range(1, 6):
            setattr(self, f"residual{i}", Residual())
        for i in range(1, 4):
            setattr(self, f"attentive{i}", Attentive())
        self.answer = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, chips):
        maps = torch.relu(self.widen(chips))
        for block in (self.residual1, self.residual2, self.residual3):
            maps = block(maps)
        for block in (self.attentive1, self.attentive2, self.attentive3):
            maps = block(maps)
        return self.answer(self.residual5(self.residual4(maps)))


MODULES = {"ndvi-cnn": NdviCnn, "ndmi-unet": NdmiUnet, "spagan": SpaGan}

folder = Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
side = config["network"]["chip_px"]
chips = np.fromfile(sys.argv[2], dtype="<f4").reshape(-1, 3, side, side)
chips = torch.from_numpy(chips.astype(np.float32))
module = MODULES[config["recipe"]]()
# Batch normalisation's count of batches is not stored: answering does not ask for it.
lack = module.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
assert all(name.endswith("num_batches_tracked") for name in lack.missing_keys), lack
assert not lack.unexpected_keys, lack
module.eval()
script = torch.jit.load(folder / "model.pt")
with torch.no_grad():
    answers = {"module": module(chips), "script": script(chips)}
print(json.dumps({name: answer.flatten().tolist() for name, answer in answers.items()}))
