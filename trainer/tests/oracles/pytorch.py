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
from safetensors.torch import load_file
from torch import nn


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


MODULES = {"ndvi-cnn": NdviCnn, "ndmi-unet": NdmiUnet}

folder = Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
side = config["network"]["chip_px"]
chips = np.fromfile(sys.argv[2], dtype="<f4").reshape(-1, 3, side, side)
chips = torch.from_numpy(chips.astype(np.float32))
module = MODULES[config["recipe"]]()
module.load_state_dict(load_file(folder / "model.safetensors"))
module.eval()
script = torch.jit.load(folder / "model.pt")
with torch.no_grad():
    answers = {"module": module(chips), "script": script(chips)}
print(json.dumps({name: answer.flatten().tolist() for name, answer in answers.items()}))
