"""Loads an exported ResNet into PyTorch, as a stranger would, and prints the logits of one picture.

    python check_export.py MODEL.safetensors INPUT.safetensors

INPUT holds `input` [1, 3, H, W]. The network is written here with torchvision's names, so that torchvision itself is not
needed; every tensor of the file must have its place, and every place its tensor. Needs torch and safetensors.
"""

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride, v1):
        super().__init__()
        first, second = (stride, 1) if v1 else (1, stride)
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, first, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, second, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


class ResNet50(nn.Module):
    def __init__(self, classes, v1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for stage, (width, blocks) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3)), 1):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(inputs, width, 2 if stage > 1 and block == 0 else 1, v1))
                inputs = 4 * width
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
        self.fc = nn.Linear(2048, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


tensors = load_file(sys.argv[1])
network = ResNet50(len(tensors["fc.bias"]), v1="v1" in sys.argv[3:])
report = network.load_state_dict(tensors, strict=False)
missing = [name for name in report.missing_keys if not name.endswith("num_batches_tracked")]
if missing or report.unexpected_keys:
    sys.exit(f"missing {missing}, unexpected {report.unexpected_keys}")
network.eval()
with torch.no_grad():
    for logit in network(load_file(sys.argv[2])["input"])[0].tolist():
        print(repr(logit))
