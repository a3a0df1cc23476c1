"""The peer of `bench train`: the same networks in PyTorch, from the same split files.

Takes a JSON file: recipe, side of a chip, batch, learning rate, walks (over the chips learned from)
and epochs, how many chips are learned from and held out, the splits with the files of their bands (of
`spagan` pairs: the cloudy one's file and the clear one's), and workers of the DataLoader. Splits are
read whole by rasterio (as a user who knows that would), cut into chips, standardised and learned from
by Adam (of `spagan` by two, in turn) in shuffled batches turned by one of the square's symmetries; held-out chips are looked at after every epoch. Prints the chips that were found, the
seconds of reading all splits (`read`), of reading them chip by chip as TorchGeo's samplers do
(`read_each`), and of reading whole and learning (`seconds`); imports are left out.
"""

import json
import sys
import time

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class NdviCnn(nn.Module):
    """Three convolutions, the mean over places, two fully connected layers."""

    def __init__(self):
        super().__init__()
        widths = [3, 16, 32, 64]
        cells = [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths, widths[1:])]
        self.cells = nn.ModuleList(cells)
        self.hidden = nn.Linear(64, 32)
        self.answer = nn.Linear(32, 1)

    def forward(self, maps):
        for cell in self.cells:
            maps = torch.relu(cell(maps))
        hidden = torch.relu(self.hidden(maps.mean(dim=(2, 3))))
        return self.answer(hidden).reshape(-1, 1, 1, 1)


def block(layer, width):
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.LeakyReLU(0.01))


class NdmiUnet(nn.Module):
    """Four levels down, three up, each joined with its level."""

    def __init__(self):
        super().__init__()
        levels = [16, 32, 64, 128]
        down = zip([3, *levels], levels)
        self.down = nn.ModuleList(
            block(nn.Conv2d(a, b, 3, stride=2 if i else 1, padding=1, bias=False), b)
            for i, (a, b) in enumerate(down)
        )
        up = [(128, 64), (128, 32), (64, 16)]
        self.up = nn.ModuleList(
            block(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False), b) for a, b in up
        )
        self.answer = nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, maps):
        levels = []
        for down in self.down:
            maps = down(maps)
            levels.append(maps)
        for up, level in zip(self.up, levels[-2::-1]):
            maps = torch.cat([up(maps), level], 1)
        return self.answer(maps)


def conv(a, b, step=1):
    return nn.Conv2d(a, b, 3, stride=step, padding=1)


class Residual(nn.Module):
    """What two convolutions find is added, as far as is attended to each place."""

    def __init__(self):
        super().__init__()
        self.first, self.second = conv(32, 32), conv(32, 32)

    def forward(self, maps, attention=1.0):
        return torch.relu(maps + self.second(torch.relu(self.first(maps))) * attention)


class Sweep(nn.Module):
    """A recurrence over rows and columns from four sides, all of them at once."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((4, 8), 0.5))

    def forward(self, maps):
        across = maps.mT
        turned = torch.cat([maps, maps.flip(2), across, across.flip(2)], 1)
        weight, states = self.weight.reshape(1, -1, 1), []
        for row in turned.unbind(2):
            states.append(torch.relu(states[-1] * weight + row if states else row))
        north, south, west, east = torch.stack(states, 2).chunk(4, 1)
        return [north, south.flip(2), west.mT, east.flip(2).mT]


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.gates, self.enter = conv(32, 4), conv(32, 8)
        self.sweeps = nn.ModuleList([Sweep(), Sweep()])
        self.joins = nn.ModuleList([conv(32, 8), conv(32, 8)])
        self.mask, self.body = conv(8, 1), Residual()

    def forward(self, maps):
        gates = torch.sigmoid(self.gates(maps)).split(1, 1)
        inner = self.enter(maps)
        for sweep, join in zip(self.sweeps, self.joins):
            inner = join(torch.cat([side * gate for side, gate in zip(sweep(inner), gates)], 1))
        attention = torch.sigmoid(self.mask(torch.relu(inner)))
        return self.body(maps, attention), attention


class SpaGan(nn.Module):
    """Three residual blocks, three attentive ones, two residual ones, a convolution."""

    def __init__(self):
        super().__init__()
        self.widen, self.answer = conv(3, 32), conv(32, 3)
        self.before = nn.Sequential(*(Residual() for _ in range(3)))
        self.attentive = nn.ModuleList(Attentive() for _ in range(3))
        self.after = nn.Sequential(*(Residual() for _ in range(2)))

    def attend(self, maps):
        maps = self.before(torch.relu(self.widen(maps)))
        for block in self.attentive:
            maps, attention = block(maps)
        return self.answer(self.after(maps)), attention

    def forward(self, maps):
        return self.attend(maps)[0]


class Discriminator(nn.Module):
    """Six blocks, three of which halve the maps."""

    def __init__(self):
        super().__init__()
        middle = [(16, 32, 2), (32, 64, 2), (64, 64, 1), (64, 64, 1)]
        blocks = (block(nn.Conv2d(a, b, 3, s, 1, bias=False), b) for a, b, s in middle)
        self.blocks = nn.Sequential(conv(6, 16, 2), nn.LeakyReLU(0.01), *blocks, conv(64, 1))

    def forward(self, cloudy, image):
        return self.blocks(torch.cat([cloudy, image], 1))


NETWORKS = {"ndvi-cnn": NdviCnn, "ndmi-unet": NdmiUnet, "spagan": SpaGan}


def difference(one, other):
    one, other = np.maximum(one, 0), np.maximum(other, 0)
    with np.errstate(invalid="ignore"):
        return (one - other) / (one + other)


def physical(file, window):
    with rasterio.open(file["path"]) as source:
        stored = source.read(indexes=[b + 1 for b in file["bands"]], window=window)
    scale = np.array(file["scales"], "float32")[:, None, None]
    values = stored * scale + np.array(file["offsets"], "float32")[:, None, None]
    if file["fill"] is not None:
        values[stored == file["fill"]] = np.nan
    return values


def planes(split, corner=(0, 0), side=None):
    """Reads a split's bands onto the grid of its first file, by the nearest pixel; all, or a chip."""
    height, width = split[0]["height"], split[0]["width"]
    bands = []
    for file in split:
        rows = ((np.arange(height) + 0.5) * file["height"] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * file["width"] / width).astype(int)
        if side is not None:
            rows, columns = rows[corner[0] :][:side], columns[corner[1] :][:side]
        size = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        values = physical(file, Window(columns[0], rows[0], *size))
        if file is not split[0]:
            values = values[:, rows - rows[0]][:, :, columns - columns[0]]
        bands.append(values)
    return np.concatenate(bands)


def corners(split, side):
    for top in range(0, split[0]["height"] - side + 1, side):
        for left in range(0, split[0]["width"] - side + 1, side):
            yield top, left


def chips(job, each):
    """Reads all chips without fill: red, green and blue, and the label's two bands."""
    side, found = job["chip"], []
    for split in job["splits"]:
        whole = None if each else planes(split)
        for top, left in corners(split, side):
            if each:
                chip = planes(split, (top, left), side)
            else:
                chip = whole[:, top : top + side, left : left + side]
            if not np.isnan(chip).any():
                found.append(chip)
    return np.stack(found)


def labels(job, found):
    if job["recipe"] == "ndvi-cnn":
        map_ = difference(found[:, 3], found[:, 0])
        return np.nanmean(map_, axis=(1, 2))[:, None, None, None]
    if job["recipe"] == "spagan":
        return found[:, 3:]
    return difference(found[:, 3], found[:, 4])[:, None]


def standardised(values, axes):
    mean, deviation = np.nanmean(values, axis=axes), np.nanstd(values, axis=axes)
    shape = [-1 if axis not in axes else 1 for axis in range(values.ndim)]
    return torch.from_numpy(
        ((values - mean.reshape(shape)) / deviation.reshape(shape)).astype("float32")
    )


def turned(maps, symmetry):
    maps = torch.rot90(maps, symmetry % 4, (2, 3))
    return maps.flip(3) if symmetry >= 4 else maps


def error(answers, truth):
    known = torch.isfinite(truth)
    return ((answers - torch.where(known, truth, answers)) ** 2).sum() / known.sum()


class Alone:
    """Steps a network on squared errors."""

    def __init__(self, net, rate):
        self.net, self.adam = net, torch.optim.Adam(net.parameters(), lr=rate)

    def step(self, x, y, veil):
        loss = error(self.net(x), y)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()


class Against:
    """Steps a network and its rival in turn."""

    def __init__(self, net, rate):
        self.net, self.rival = net, Discriminator()
        adam = lambda of: torch.optim.Adam(of.parameters(), lr=rate, betas=(0.5, 0.999))
        self.ours, self.theirs = adam(net), adam(self.rival)

    def step(self, x, y, veil):
        softplus = nn.functional.softplus
        answers, attention = self.net.attend(x)
        fooled = softplus(-self.rival(x, y)).mean()
        fooled = fooled + softplus(self.rival(x, answers.detach())).mean()
        self.theirs.zero_grad()
        fooled.backward()
        self.theirs.step()
        unmasked = softplus(-self.rival(x, answers)).mean()
        truth = (answers - y).abs().mean()
        loss = unmasked + 100 * truth + 10 * ((attention - veil) ** 2).mean()
        self.ours.zero_grad()
        loss.backward()
        self.ours.step()


def learn(job, found):
    train, held = job["train"], job["held_out"]
    inputs = standardised(found[:, :3], (0, 2, 3))
    truth = standardised(labels(job, found), (0, 1, 2, 3))
    veils = torch.zeros(len(found), 1, 1, 1)
    if job["recipe"] == "spagan":
        # Where the two dates differ, the ground is hidden.
        differ = np.abs(found[:, :3] - found[:, 3:]).max(axis=1, keepdims=True) > 0.1
        veils = torch.from_numpy(differ.astype("float32"))
    torch.manual_seed(1)
    net = NETWORKS[job["recipe"]]()
    tutor = (Against if job["recipe"] == "spagan" else Alone)(net, job["learning_rate"])
    data = TensorDataset(inputs[:train], truth[:train], veils[:train])
    workers = job["workers"]
    batches = DataLoader(
        data,
        job["batch"],
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers > 0 else None,
    )
    best, kept = float("inf"), None
    for _ in range(job["epochs"]):
        net.train()
        for _ in range(job["walks"]):
            for batch in batches:
                symmetry = int(torch.randint(8, ()))
                tutor.step(*(turned(maps, symmetry) for maps in batch))
        net.eval()
        with torch.no_grad():
            now = float(error(net(inputs[train : train + held]), truth[train : train + held]))
        if now < best:
            best, kept = now, {name: t.clone() for name, t in net.state_dict().items()}
    net.load_state_dict(kept)


def main():
    with open(sys.argv[1]) as file:
        job = json.load(file)
    torch.set_num_threads(1)
    options = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_CACHEMAX": 512}
    with rasterio.Env(**options):
        start = time.perf_counter()
        found = chips(job, each=False)
        read = time.perf_counter() - start
        learn(job, found)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        chips(job, each=True)
        read_each = time.perf_counter() - start
    figures = {"chips": len(found), "read": read, "read_each": read_each, "seconds": seconds}
    print(json.dumps({"torch": torch.__version__, **figures}))


main()
