#!/usr/bin/env python3
"""An example of torchscript:FILE: a small network for maps, made in PyTorch, trained by glebe.

    python3 torchscript_map.py near_infrared.pt
    glebe train torchscript:near_infrared.pt --inputs red,green,blue --label nir --loss mse

Only making the file needs PyTorch: each node's worker learns with its own libtorch.
"""

import sys

import torch
from torch import nn


def remembered(module):
    """Makes parameters of what batch normalisation remembers: checkpoints hold parameters alone."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats:
            for name in ("running_mean", "running_var"):
                kept = nn.Parameter(getattr(part, name).detach().clone(), requires_grad=False)
                del part._buffers[name]
                part.register_parameter(name, kept)
            # It is only counted for momentum=None, which counts batches.
            part.num_batches_tracked = None
    return module


def network(inputs=3, outputs=1, width=16):
    layers = [nn.Conv2d(inputs, width, 5, padding=2), nn.BatchNorm2d(width), nn.ReLU()]
    layers += [nn.Dropout2d(0.1), nn.Conv2d(width, width, 5, padding=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, outputs, 1))


if __name__ == "__main__":
    torch.manual_seed(7)
    torch.jit.script(remembered(network())).save(sys.argv[1])
