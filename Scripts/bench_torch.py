#!/usr/bin/env python3
"""PyTorch as a peer of `consilium bench`: the same work, timed by its own clock, on lines of JSON.

    {"prepare": {...}} -> {"ok": true} or {"skip": "why"};  {"run": N} -> {"seconds": mean of N runs}

Tensors are channels_last, where PyTorch's CPU convolutions are fastest; layers are its own, BatchNorm trains.
"""
import json
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
torch.manual_seed(1)

BLOCKS = {"resnet18": ("basic", (2, 2, 2, 2)), "resnet34": ("basic", (3, 4, 6, 3)),
          "resnet50": ("bottleneck", (3, 4, 6, 3)), "resnet50v1": ("bottleneck v1", (3, 4, 6, 3))}
CLASSES = 4


class Block(nn.Module):
    """Residual block: (outputs, kernel, stride) of each convolution, and a projection where shapes differ."""

    def __init__(self, inputs, layers):
        super().__init__()
        stride = max(stride for _, _, stride in layers)
        parts, channels = [], inputs
        for outputs, kernel, step in layers:
            parts += [nn.Conv2d(channels, outputs, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(outputs),
                      nn.ReLU(inplace=True)]
            channels = outputs
        self.body = nn.Sequential(*parts[:-1])
        self.shortcut = None
        if stride > 1 or inputs != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False),
                                          nn.BatchNorm2d(channels))

    def forward(self, x):
        return F.relu(self.body(x) + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


def network(name, first_part="stem"):
    """The parts of a ResNet from `first_part` on."""
    kind, counts = BLOCKS[name]
    parts = [("stem", nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
                                    nn.MaxPool2d(3, 2, 1)))]
    channels = 64
    for stage, count in enumerate(counts):
        width, blocks = 64 << stage, []
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            layers = {"basic": [(width, 3, stride), (width, 3, 1)],
                      "bottleneck": [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)],
                      "bottleneck v1": [(width, 1, stride), (width, 3, 1), (4 * width, 1, 1)]}[kind]
            blocks.append(Block(channels, layers))
            channels = layers[-1][0]
        parts.append((f"layer{stage + 1}", nn.Sequential(*blocks)))
    parts.append(("head", nn.Linear(channels, CLASSES)))
    names = [part for part, _ in parts]
    kept = parts[names.index(first_part):]
    body = [part for name, part in kept if name != "head"]
    pool = [nn.AdaptiveAvgPool2d(1)] if body else []
    return nn.Sequential(*body, *pool, nn.Flatten(), kept[-1][1]).to(memory_format=torch.channels_last)


def pictures(*shape):
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


def training_step(model, x):
    labels = torch.arange(x.shape[0]) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return step


def convolution(request):
    n, h, w = request["batch"], request["height"], request["width"]
    c, o, k = request["inputs"], request["outputs"], request["kernel"]
    stride, padding = request["stride"], request["padding"]
    x = pictures(n, c, h, w)
    weight = pictures(o, c, k, k)
    if request["pass"] == "forward":
        def run():
            with torch.no_grad():
                F.conv2d(x, weight, stride=stride, padding=padding)
        return run
    y = F.conv2d(x, weight, stride=stride, padding=padding)
    dy = pictures(*y.shape)
    mask = [request["pass"] == "input gradient", request["pass"] == "weight gradient", False]

    def run():
        torch.ops.aten.convolution_backward(
            dy, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, mask)
    return run


def prepare(request):
    kind = request["kind"]
    if kind == "matmul":
        size = request["size"]
        a, b, c = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
        return lambda: torch.mm(a, b, out=c)
    if kind == "convolution":
        return convolution(request)
    if request.get("architecture") not in BLOCKS:
        return None
    batch, size = request["batch"], request["size"]
    if kind == "training step":
        model = network(request["architecture"]).train()
        return training_step(model, pictures(batch, 3, size, size))
    if kind == "forward":
        model, x = network(request["architecture"]).eval(), pictures(batch, 3, size, size)

        def forward():
            with torch.no_grad():
                model(x)
        return forward
    if kind == "transfer step":
        # Frozen BatchNorm: statistics, weight and bias are constants.
        model = network(request["architecture"], request["part"]).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
        edge = size // 16
        expansion = 1 if BLOCKS[request["architecture"]][0] == "basic" else 4
        x = torch.randn(batch, 512 * expansion) if request["part"] == "head" else pictures(
            batch, 256 * expansion, edge, edge)
        return training_step(model, x)
    return None


def main():
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            run = prepare(request["prepare"])
            answer = {"ok": True} if run else {"skip": f"cannot do: {request['prepare']}"}
        else:
            count = request["run"]
            start = time.perf_counter()
            for _ in range(count):
                run()
            answer = {"seconds": (time.perf_counter() - start) / count}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
