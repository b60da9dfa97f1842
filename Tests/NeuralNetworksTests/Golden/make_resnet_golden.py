#!/usr/bin/env python3
"""Makes resnet18_curve.json and resnet_outputs.json, beside this script: whole ResNets, as make_golden.py does it.

Weights, pictures and order come from the generator of RandomSource.swift, so the files hold results only. The networks
are written after torchvision's resnet.py, with its names, and start as Model(initializing:seed:) does. Where BatchNorm
is frozen no scaling is needed: features are of the order of one to ten. Takes some minutes.

    torch/bin/python -B make_resnet_golden.py
"""
import math

import numpy as np
import torch
import torch.nn.functional as F

from make_golden import Random, numbers, write

CLASSES = 4
SIZE = 64
BASIC, BOTTLENECK, BOTTLENECK_V1 = "basic", "bottleneck", "bottleneck v1"
NETWORKS = {
    "resnet18": (BASIC, (2, 2, 2, 2)), "resnet34": (BASIC, (3, 4, 6, 3)),
    "resnet50": (BOTTLENECK, (3, 4, 6, 3)), "resnet50v1": (BOTTLENECK_V1, (3, 4, 6, 3)),
}


class ResNet:
    """Parameters and running statistics by name, and a forward pass."""

    def __init__(self, name, head, seed, dtype=torch.float64):
        self.random, self.head, self.dtype = Random.seeded(seed), head, dtype
        self.kind, self.blocks = NETWORKS[name]
        self.parameters, self.statistics = {}, {}
        self.convolution("conv1", 3, 64, 7)
        self.norm("bn1", 64)
        channels = 64
        for stage, count in enumerate(self.blocks):
            for index in range(count):
                block = f"layer{stage + 1}.{index}"
                layers, outputs, stride = self.layers(stage, index)
                inputs = channels
                for number, (width, size, _) in enumerate(layers, 1):
                    self.convolution(f"{block}.conv{number}", inputs, width, size)
                    self.norm(f"{block}.bn{number}", width)
                    inputs = width
                if stride != 1 or channels != outputs:
                    self.convolution(f"{block}.downsample.0", channels, outputs, 1)
                    self.norm(f"{block}.downsample.1", outputs)
                channels = outputs
        if head == "mlp":
            self.norm("fc.0", channels)
            self.dense("fc.1", channels, 256)
            self.dense("fc.4", 256, CLASSES)
        else:
            self.dense("fc", channels, CLASSES)

    def layers(self, stage, index):
        """(outputs, size, stride) of a block's convolutions, the block's outputs and its stride."""
        width, stride = 64 << stage, 2 if stage > 0 and index == 0 else 1
        if self.kind == BASIC:
            return [(width, 3, stride), (width, 3, 1)], width, stride
        first, second = (stride, 1) if self.kind == BOTTLENECK_V1 else (1, stride)
        return [(width, 1, first), (width, 3, second), (4 * width, 1, 1)], 4 * width, stride

    def tensor(self, values, shape):
        return torch.tensor(values.astype(np.float32)).to(self.dtype).reshape(shape)

    def convolution(self, name, inputs, outputs, size):
        values = self.random.derived(f"{name}.weight").normals(outputs * inputs * size * size)
        values *= (2 / (outputs * size * size)) ** 0.5
        self.parameters[f"{name}.weight"] = self.tensor(values, (outputs, inputs, size, size))

    def norm(self, name, channels):
        self.parameters[f"{name}.weight"] = torch.ones(channels, dtype=self.dtype)
        self.parameters[f"{name}.bias"] = torch.zeros(channels, dtype=self.dtype)
        self.statistics[f"{name}.running_mean"] = torch.zeros(channels, dtype=self.dtype)
        self.statistics[f"{name}.running_var"] = torch.ones(channels, dtype=self.dtype)

    def dense(self, name, inputs, outputs):
        for suffix, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
            values = self.random.derived(f"{name}.{suffix}").uniforms(math.prod(shape)) * 2 - 1
            self.parameters[f"{name}.{suffix}"] = self.tensor(values / inputs**0.5, shape)

    def normalized(self, x, name, training):
        return F.batch_norm(
            x, self.statistics[f"{name}.running_mean"], self.statistics[f"{name}.running_var"],
            self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"], training=training)

    def features(self, x, training):
        def apply(x, conv, norm, stride=1):
            weight = self.parameters[f"{conv}.weight"]
            return self.normalized(F.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2), norm, training)

        x = F.max_pool2d(F.relu(apply(x, "conv1", "bn1", 2)), 3, 2, 1)
        for stage, count in enumerate(self.blocks):
            for index in range(count):
                block = f"layer{stage + 1}.{index}"
                layers, _, stride = self.layers(stage, index)
                y = x
                for number, (_, _, step) in enumerate(layers, 1):
                    y = apply(y, f"{block}.conv{number}", f"{block}.bn{number}", step)
                    y = F.relu(y) if number < len(layers) else y
                if f"{block}.downsample.0.weight" in self.parameters:
                    x = apply(x, f"{block}.downsample.0", f"{block}.downsample.1", stride)
                x = F.relu(y + x)
        return x.mean((2, 3))

    def logits(self, x, training):
        """Of features."""
        dense = lambda x, name: F.linear(x, self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"])
        if self.head == "mlp":
            x = self.normalized(x, "fc.0", training)
            return dense(F.relu(dense(x, "fc.1")), "fc.4")
        return dense(x, "fc")


def pictures(count, dtype):
    """Noise, and stripes that tell the class; drawn NHWC."""
    values = np.stack([
        Random.seeded(99).derived(index).uniforms(SIZE * SIZE * 3).astype(np.float32).astype(np.float64)
        + (index % 4) * 0.25 * (np.arange(SIZE * SIZE * 3) % 8 == index % 4) for index in range(count)
    ])
    return torch.tensor(values).float().to(dtype).reshape(count, SIZE, SIZE, 3).permute(0, 3, 1, 2).contiguous()


def factor(position, steps_per_epoch, warmup, total, floor):
    """A line up from 0, then half a cosine down to the floor. Time is in epochs."""
    if position < warmup:
        return min(1, (position + 1 / steps_per_epoch) / warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1, (position - warmup) / (total - warmup))))


def train(case, dtype=torch.float64):
    """Two epochs of 40 pictures in batches of 8."""
    count, batch, steps = 40, 8, 5
    network = ResNet("resnet18", case["head"], 7, dtype)
    images, labels = pictures(count, dtype), torch.arange(count) % CLASSES
    trained = {
        name: value for name, value in network.parameters.items()
        if not case["frozen"] or name.startswith("fc") or
        (name.startswith(("layer3", "layer4")) and ".bn" not in name and ".downsample.1" not in name)
    }
    anchors = {name: value.clone() for name, value in trained.items()}
    for value in trained.values():
        value.requires_grad_()
    optimizer = case["optimizer"](list(trained.values()))
    rate = optimizer.param_groups[0]["lr"]
    weights = torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=dtype)
    losses, norms = [], []  # norms before clipping
    for epoch in range(2):
        order = Random.seeded(7).derived("order").derived(epoch).permutation(count)
        for step in range(steps):
            chosen = order[step * batch:(step + 1) * batch]
            # The head's BatchNorm is never frozen.
            logits = network.logits(network.features(images[chosen], not case["frozen"]), True)
            loss = F.cross_entropy(logits, labels[chosen], weight=weights)
            optimizer.zero_grad()
            loss.backward()
            for name, value in trained.items():
                value.grad += case["mu"] * (value.detach() - anchors[name])
            norms.append(torch.nn.utils.clip_grad_norm_(list(trained.values()), case["clip"]).item())
            for group in optimizer.param_groups:
                group["lr"] = rate * factor(epoch + step / steps, steps, 0.6, 2, 0.1)
            optimizer.step()
            losses.append(loss.item())
    return network, anchors, losses, norms


def curve(name, **case):
    network, anchors, losses, norms = train(case)
    single = train(case, torch.float32)[2]
    apart = max(abs(a - b) for a, b in zip(losses, single))
    print(f"{name}: losses {[round(x, 4) for x in losses]}\n  norms {[round(x, 3) for x in norms]}, "
          f"float32 and float64 {apart:.1e} apart")
    assert apart < 1e-4, "PyTorch's own float32 strays: nothing could be compared"
    assert min(norms) < case["clip"] < max(norms), "clipping should act in some steps, not in all"
    changes = {
        key: {"count": anchors[key].numel(),
              "values": numbers((network.parameters[key].detach() - anchors[key]).reshape(-1)[:500])}
        for key in case["shown"]
    }
    return {
        "name": name, "losses": losses, "changes": changes,
        "statistics": {key: numbers(network.statistics[key]) for key in case["statistics"]},
    }


def make_curves():
    """At rates at which PyTorch's own float32 and float64 losses stay together over ten steps: 7e-7, 4e-6 and 2e-6 apart.

    At others a ReLU gets another sign somewhere, and that grows: Adam at 1e-4, 2e-4 apart; the mlp at 0.01, 6e-3 (its
    BatchNorm sees eight values); everything at 0.0007, 1e-4, and at 0.0004, 4e-3.
    """
    fine = ["layer3.0.conv1.weight", "layer3.0.downsample.0.weight", "layer4.1.conv2.weight"]
    sgd = lambda rate: lambda p: torch.optim.SGD(p, lr=rate, momentum=0.9, weight_decay=1e-3)
    statistics = ["bn1.running_mean", "bn1.running_var", "layer4.1.bn2.running_mean", "layer4.1.bn2.running_var"]
    write("resnet18_curve.json", [
        curve("adam, from layer3, frozen", head="linear", frozen=True, mu=0.1, clip=5.0,
              optimizer=lambda p: torch.optim.Adam(p, lr=2e-5, weight_decay=1e-4),
              shown=fine + ["fc.weight", "fc.bias"], statistics=[]),
        curve("sgd, from layer3, frozen, mlp", head="mlp", frozen=True, mu=0.1, clip=15.0, optimizer=sgd(0.001),
              shown=fine + ["fc.0.weight", "fc.1.weight", "fc.4.bias"],
              statistics=["fc.0.running_mean", "fc.0.running_var"]),
        curve("sgd, everything", head="linear", frozen=False, mu=0.1, clip=37.0, optimizer=sgd(0.001),
              shown=fine + ["conv1.weight", "bn1.weight", "layer1.0.bn1.bias", "fc.weight"], statistics=statistics),
    ])


@torch.no_grad()
def make_outputs():
    """Logits of three pictures at inference, and their first features, since logits are mostly biases here."""
    cases = []
    for name, head in (("resnet18", "mlp"), ("resnet34", "linear"), ("resnet50", "linear"), ("resnet50v1", "linear")):
        network = ResNet(name, head, 11)
        features = network.features(pictures(3, torch.float64), False)
        cases.append({
            "name": name if head == "linear" else f"{name}+{head}", "logits": numbers(network.logits(features, False)),
            "features": numbers(features[:, :32]),
        })
    write("resnet_outputs.json", cases)


if __name__ == "__main__":
    make_outputs()
    make_curves()
