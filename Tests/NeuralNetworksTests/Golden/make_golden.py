#!/usr/bin/env python3
"""Makes the golden files of NeuralNetworksTests with PyTorch: layers.json and curves.json, beside this script.
make_resnet_golden.py makes those of whole ResNets.

    python3 -m venv torch && torch/bin/pip install torch numpy && torch/bin/python make_golden.py

Everything is computed in float64 from float32 inputs, so the files do not depend on the machine. Made with
PyTorch 2.15. Tensors of activations are written NHWC, weights as PyTorch has them.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)


def numbers(tensor):
    """Eight significant digits: a tenth of what float32 resolves."""
    return [float(f"{value:.8g}") for value in tensor.detach().reshape(-1).tolist()]


def nhwc(tensor):
    return numbers(tensor.permute(0, 2, 3, 1))


def write(name, document):
    (HERE / name).write_text(json.dumps(document, separators=(",", ":")) + "\n")


# Layers: small graphs of one layer and a head. The head is a convolution as large as the plane, so that the gradient
# differs from position to position.


def convolve(value, weight, bias, node):
    top, left, bottom, right = node["padding"]
    padded = F.pad(value, (left, right, top, bottom))
    return F.conv2d(padded, weight, bias, stride=node["stride"])


def forward(nodes, values, parameters, training):
    for node in nodes:
        inputs = [values[name] for name in node["inputs"]]
        name, operation, x = node["name"], node["operation"], inputs[0]
        weight, bias = parameters.get(f"{name}.weight"), parameters.get(f"{name}.bias")
        if operation == "convolution":
            y = convolve(x, weight, bias, node)
        elif operation == "batchNorm":
            mean, variance = parameters[f"{name}.running_mean"], parameters[f"{name}.running_var"]
            y = F.batch_norm(x, mean, variance, weight, bias, training=training, momentum=0.1, eps=1e-5)
        elif operation == "relu":
            y = F.relu(x)
        elif operation == "maxPool":
            y = F.max_pool2d(x, node["size"], node["stride"], node["padding"][0])
        elif operation == "averagePool":
            y = F.avg_pool2d(x, node["size"], node["stride"], node["padding"][0])
        elif operation == "globalAveragePool":
            y = x.mean((2, 3), keepdim=True)
        elif operation == "dense":
            y = F.linear(x.flatten(1), weight, bias)[:, :, None, None]
        elif operation == "residualAdd":
            y = inputs[0] + inputs[1]
        elif operation == "dropout":
            y = x * 1  # at rate 0
        else:
            raise ValueError(operation)
        y.retain_grad()
        values[name] = y
    return values[nodes[-1]["name"]].flatten(1)


def conv(name, source, outputs, size, stride=1, padding=(0, 0, 0, 0), bias=False):
    return {"name": name, "operation": "convolution", "inputs": [source], "outputs": outputs, "size": size,
            "stride": stride, "padding": list(padding), "bias": bias}


def simple(operation, source, name=None, **more):
    return {"name": name or operation, "operation": operation, "inputs": [source], **more}


def pool(operation, size, stride, padding, source="input", name=None):
    return simple(operation, source, name, size=size, stride=stride, padding=[padding] * 4)


def layer_case(name, nodes, generator, shape=(6, 6, 2), head=True, training=True, class_weights=None, tied=False):
    batch, classes = 3, 3
    height, width, channels = shape
    # Multiples of 1/256: exact in few digits.
    draw = lambda *size, scale=1: (torch.randn(*size, generator=generator) * scale * 256).round() / 256
    pictures = draw(batch, channels, height, width)
    if tied:
        pictures = pictures.round()
    # Sizes of planes, to make the head and the parameters.
    sizes = {"input": (channels, height)}
    parameters = {}
    if head:
        nodes = nodes + [conv("head", nodes[-1]["name"], classes, None, bias=True)]
    for node in nodes:
        source, plane = sizes[node["inputs"][0]]
        outputs = source
        if node["operation"] in ("convolution", "maxPool", "averagePool"):
            if node["size"] is None:
                node["size"] = plane
            outputs = node.get("outputs", source)
            if node["operation"] == "convolution":
                fan = source * node["size"] ** 2
                weight = draw(outputs, source, node["size"], node["size"], scale=fan**-0.5)
                parameters[f"{node['name']}.weight"] = weight
                if node["bias"]:
                    parameters[f"{node['name']}.bias"] = draw(outputs)
            plane = (plane + node["padding"][0] + node["padding"][2] - node["size"]) // node["stride"] + 1
        elif node["operation"] == "globalAveragePool":
            plane = 1
        elif node["operation"] == "dense":
            outputs = node["outputs"]
            parameters[f"{node['name']}.weight"] = draw(outputs, source)
            parameters[f"{node['name']}.bias"] = draw(outputs)
        elif node["operation"] == "batchNorm":
            for suffix, values in (("weight", 1 + draw(source, scale=0.3)), ("bias", draw(source)),
                                   ("running_mean", draw(source)), ("running_var", 0.5 + draw(source).abs())):
                parameters[f"{node['name']}.{suffix}"] = values
        sizes[node["name"]] = (outputs, plane)
    start = {key: value.clone() for key, value in parameters.items()}
    for key, value in parameters.items():
        value.requires_grad_("running" not in key)
    pictures.requires_grad_()
    labels = torch.tensor([2, 0, 1])
    values = {"input": pictures}
    logits = forward(nodes, values, parameters, training)
    weights = torch.tensor(class_weights, dtype=torch.float64) if class_weights else None
    loss = F.cross_entropy(logits, labels, weight=weights)
    loss.backward()
    return {
        "name": name, "shape": list(shape), "nodes": nodes, "labels": labels.tolist(), "training": training,
        "class_weights": class_weights, "pictures": nhwc(pictures), "loss": loss.item(),
        "parameters": {key: {"shape": list(value.shape), "values": numbers(value)} for key, value in start.items()},
        "values": {key: nhwc(value) for key, value in values.items() if key != "input"},
        "input_gradient": nhwc(pictures.grad),
        "gradients": {key: numbers(value.grad) for key, value in parameters.items() if value.grad is not None},
        "statistics": {key: numbers(value) for key, value in parameters.items() if "running" in key},
    }


def residual_block():
    return [
        conv("conv1", "input", 4, 3, 2, (1, 1, 1, 1)), simple("batchNorm", "conv1", "bn1"), simple("relu", "bn1", "r1"),
        conv("conv2", "r1", 4, 3, 1, (1, 1, 1, 1)), simple("batchNorm", "conv2", "bn2"),
        conv("down", "input", 4, 1, 2), simple("batchNorm", "down", "bnd"),
        {"name": "sum", "operation": "residualAdd", "inputs": ["bn2", "bnd"]}, simple("relu", "sum", "r2"),
        conv("conv3", "r2", 4, 3, 1, (1, 1, 1, 1)), simple("batchNorm", "conv3", "bn3"),
        {"name": "sum2", "operation": "residualAdd", "inputs": ["bn3", "r2"]}, simple("relu", "sum2", "r3"),
    ]


def resnet_block(layers, projection=None):
    """A block of torchvision's resnet.py.

    layers: (outputs, size, stride) of each convolution; projection: (outputs, stride) of the shortcut's, if it has one.
    """
    nodes, shortcut, value = [], "input", "input"
    if projection:
        outputs, stride = projection
        nodes += [conv("downsample.0", "input", outputs, 1, stride), simple("batchNorm", "downsample.0", "downsample.1")]
        shortcut = "downsample.1"
    for index, (outputs, size, stride) in enumerate(layers, 1):
        nodes += [conv(f"conv{index}", value, outputs, size, stride, (size // 2,) * 4),
                  simple("batchNorm", f"conv{index}", f"bn{index}")]
        value = f"bn{index}"
        if index < len(layers):
            nodes.append(simple("relu", value, f"relu{index}"))
            value = f"relu{index}"
    return nodes + [{"name": "add", "operation": "residualAdd", "inputs": [value, shortcut]}, simple("relu", "add")]


def resnet_cases():
    """With a generator of their own, so that the cases above keep their values."""
    generator = torch.Generator().manual_seed(20260302)
    case = lambda *arguments, **named: layer_case(*arguments, generator=generator, **named)
    bottleneck = [(2, 1, 1), (2, 3, 2), (8, 1, 1)]
    stem = [
        conv("conv1", "input", 4, 7, 2, (3, 3, 3, 3)), simple("batchNorm", "conv1", "bn1"), simple("relu", "bn1"),
        pool("maxPool", 3, 2, 1, "relu", "maxpool"),
    ]
    mlp = [
        simple("globalAveragePool", "input", "avgpool"), simple("batchNorm", "avgpool", "fc.0"),
        simple("dense", "fc.0", "fc.1", outputs=8), simple("relu", "fc.1", "fc.2"), simple("dropout", "fc.2", "fc.3"),
        simple("dense", "fc.3", "fc.4", outputs=3),
    ]
    return [
        case("basic block, stride 2", resnet_block([(6, 3, 2), (6, 3, 1)], (6, 2)), shape=(5, 5, 4)),
        case("basic block, identity", resnet_block([(4, 3, 1), (4, 3, 1)]), shape=(5, 5, 4)),
        case("bottleneck, stride 2", resnet_block(bottleneck, (8, 2)), shape=(6, 6, 4)),
        case("bottleneck v1, stride 2", resnet_block([(2, 1, 2), (2, 3, 1), (8, 1, 1)], (8, 2)), shape=(6, 6, 4)),
        case("bottleneck, identity", resnet_block([(2, 1, 1), (2, 3, 1), (8, 1, 1)]), shape=(4, 4, 8)),
        case("bottleneck, frozen", resnet_block(bottleneck, (8, 2)), shape=(6, 6, 4), training=False),
        case("stem", stem, shape=(11, 11, 3)),
        case("mlp head", mlp, shape=(3, 3, 6), head=False),
    ]


def make_layers():
    generator = torch.Generator().manual_seed(20260301)
    case = lambda *arguments, **named: layer_case(*arguments, generator=generator, **named)
    write("layers.json", [
        case("convolution 3x3", [conv("layer", "input", 5, 3, 1, (1, 1, 1, 1), True)]),
        case("convolution 3x3 stride 2", [conv("layer", "input", 4, 3, 2, (1, 1, 1, 1))], shape=(7, 7, 3)),
        case("convolution 1x1 stride 2", [conv("layer", "input", 4, 1, 2)]),
        case("convolution 5x5", [conv("layer", "input", 3, 5, 1, (2, 2, 2, 2), True)]),
        case("convolution 7x7 stride 2", [conv("layer", "input", 4, 7, 2, (3, 3, 3, 3))], shape=(8, 8, 1)),
        case("convolution, uneven padding", [conv("layer", "input", 4, 3, 2, (0, 0, 1, 1))]),
        case("BatchNorm", [simple("batchNorm", "input", "layer")]),
        case("BatchNorm and ReLU", [simple("batchNorm", "input", "layer"), simple("relu", "layer")]),
        case("BatchNorm, frozen", [conv("conv", "input", 3, 3), simple("batchNorm", "conv", "layer"),
                                   simple("relu", "layer")], training=False),
        case("ReLU", [simple("relu", "input")]),
        case("max pool 2", [pool("maxPool", 2, 2, 0)]),
        case("max pool 3 stride 2, ties", [pool("maxPool", 3, 2, 1)], tied=True),
        case("average pool 2", [pool("averagePool", 2, 2, 0)]),
        case("average pool 3 stride 2", [pool("averagePool", 3, 2, 1)], shape=(7, 7, 2)),
        case("global average pool and dense", [simple("globalAveragePool", "input"),
                                               simple("dense", "globalAveragePool", outputs=3)], head=False),
        case("class weights", [conv("layer", "input", 3, 3)], class_weights=[0.5, 2.0, 1.25]),
        case("residual blocks", residual_block()),
    ] + resnet_cases())


# Curves: whole trainings of smallcnn at 64 pixels. Weights, pictures and order come from the same counter-based
# generator as in RandomSource.swift, so the files hold results only.

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(word):
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


class Random:
    def __init__(self, key):
        self.key = key

    @staticmethod
    def seeded(seed):
        return Random(mix((seed + GOLDEN) & MASK))

    def derived(self, index):
        if isinstance(index, str):
            value = 0xCBF29CE484222325
            for byte in index.encode():
                value = ((value ^ byte) * 0x100000001B3) & MASK
            index = value
        return Random(mix(self.key ^ mix((index + GOLDEN) & MASK)))

    def bits(self, index):
        return mix((self.key + (index + 1) * GOLDEN) & MASK)

    def uniforms(self, count):
        index = np.arange(1, count + 1, dtype=np.uint64)
        with np.errstate(over="ignore"):
            word = np.uint64(self.key) + index * np.uint64(GOLDEN)
            word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            word ^= word >> np.uint64(31)
        return (word >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normals(self, count):
        sums = np.full(count, -6.0)
        for column in self.uniforms(12 * count).reshape(count, 12).T:
            sums += column
        return sums

    def permutation(self, count):
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            pick = (self.bits(last) * (last + 1)) >> 64
            order[last], order[pick] = order[pick], order[last]
        return order


def smallcnn(seed):
    """Parameters by name, and a forward pass."""
    random = Random.seeded(seed)
    parameters, statistics = {}, {}

    def block(conv_name, norm_name, inputs, outputs):
        name = f"{conv_name}.weight"
        values = random.derived(name).normals(outputs * inputs * 9) * (2 / (outputs * 9)) ** 0.5
        parameters[name] = torch.tensor(values.astype(np.float32).astype(np.float64)).reshape(outputs, inputs, 3, 3)
        parameters[f"{norm_name}.weight"] = torch.ones(outputs)
        parameters[f"{norm_name}.bias"] = torch.zeros(outputs)
        statistics[f"{norm_name}.running_mean"] = torch.zeros(outputs)
        statistics[f"{norm_name}.running_var"] = torch.ones(outputs)

    block("conv1", "bn1", 1, 32)
    width = 32
    for layer, outputs in enumerate((32, 64, 96, 128), 1):
        block(f"layer{layer}.conv1", f"layer{layer}.bn1", width, outputs)
        block(f"layer{layer}.conv2", f"layer{layer}.bn2", outputs, outputs)
        width = outputs
    bound = 1 / 128**0.5
    for suffix, count, shape in (("weight", 4 * 128, (4, 128)), ("bias", 4, (4,))):
        values = (random.derived(f"fc.{suffix}").uniforms(count) * 2 - 1) * bound
        parameters[f"fc.{suffix}"] = torch.tensor(values.astype(np.float32).astype(np.float64)).reshape(shape)

    def run(x):
        def apply(x, conv_name, norm_name, stride=1):
            x = F.conv2d(x, parameters[f"{conv_name}.weight"], stride=stride, padding=1)
            return F.relu(F.batch_norm(
                x, statistics[f"{norm_name}.running_mean"], statistics[f"{norm_name}.running_var"],
                parameters[f"{norm_name}.weight"], parameters[f"{norm_name}.bias"], training=True))

        x = F.max_pool2d(apply(x, "conv1", "bn1", 2), 2)
        for layer in range(1, 5):
            if layer > 1:
                x = F.max_pool2d(x, 2)
            for step in (1, 2):
                x = apply(x, f"layer{layer}.conv{step}", f"layer{layer}.bn{step}")
        return F.linear(x.mean((2, 3)), parameters["fc.weight"], parameters["fc.bias"])

    return parameters, statistics, run


def curve(name, make_optimizer, mu, class_weights):
    """Four epochs of 40 pictures in batches of 16, 16 and 8. (At 32 pixels float32 and float64 part ways in
    PyTorch itself: BatchNorm over a dozen values and ReLU's kink amplify rounding.)"""
    seed, count, size, batch = 7, 40, 64, 16
    pictures = torch.tensor(np.stack([
        Random.seeded(99).derived(index).uniforms(size * size).astype(np.float32).astype(np.float64)
        + (index % 4) * 0.25 * (np.arange(size * size) % 8 == index % 4) for index in range(count)
    ])).float().double().reshape(count, 1, size, size)
    labels = torch.arange(count) % 4
    parameters, statistics, run = smallcnn(seed)
    anchors = {key: value.clone() for key, value in parameters.items()}
    for value in parameters.values():
        value.requires_grad_()
    optimizer = make_optimizer(list(parameters.values()))
    weights = torch.tensor(class_weights, dtype=torch.float64)
    losses = []
    for epoch in range(4):
        order = Random.seeded(seed).derived("order").derived(epoch).permutation(count)
        for start in range(0, count, batch):
            chosen = order[start:start + batch]
            loss = F.cross_entropy(run(pictures[chosen]), labels[chosen], weight=weights)
            optimizer.zero_grad()
            loss.backward()
            for key, value in parameters.items():
                value.grad += mu * (value.detach() - anchors[key])
            optimizer.step()
            losses.append(loss.item())
    return {
        "name": name, "losses": losses, "permutation": Random.seeded(seed).derived("order").derived(0).permutation(count),
        "statistics": {key: numbers(value) for key, value in statistics.items()},
        "fc.weight": numbers(parameters["fc.weight"]), "bn1.weight": numbers(parameters["bn1.weight"]),
        "initial conv1.weight": numbers(anchors["conv1.weight"])[:20],
        "initial fc.bias": numbers(anchors["fc.bias"]),
    }


def make_curves():
    weights = [1.0, 2.0, 0.5, 1.5]
    write("curves.json", [
        curve("adam", lambda p: torch.optim.Adam(p, lr=1e-3, weight_decay=1e-4), 0.0, weights),
        curve("sgd with momentum and proximal term",
              lambda p: torch.optim.SGD(p, lr=0.002, momentum=0.9, weight_decay=1e-3), 0.1, weights),
    ])


if __name__ == "__main__":
    make_layers()
    make_curves()
