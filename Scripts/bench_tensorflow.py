#!/usr/bin/env python3
"""TensorFlow as a peer of `consilium bench --only job`: Keras trains a head on a frozen ResNet-50, from JPEG files.

    {"prepare": {...}} -> {"ok": true} or {"skip": "why"};  {"run": 1} -> {"seconds": S, "accuracy": A}

The network is `keras.applications.ResNet50` with the same weights as ours; the head has BatchNorm, Dense 256, ReLU,
Dropout and Dense. Every epoch decodes, augments and passes the frozen layers anew, as `fit` does. Timed is all but
the import of TensorFlow and the reading of the weights.
"""
import json
import os
import pathlib
import random
import struct
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import tensorflow as tf
from tensorflow import keras

THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)
keras.utils.set_random_seed(1)

# Keras adds a bias to each convolution, which BatchNorm's makes superfluous, and its own epsilon to the variance.
TORCH_EPSILON, KERAS_EPSILON = 1e-5, 1.001e-5


def tensors(path):
    """The F32 tensors of a safetensors file by name."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, last = (8 + length + offset for offset in entry["data_offsets"])
            found[name] = np.frombuffer(data[first:last], np.float32).reshape(entry["shape"])
    return found


def set_weights(model, weights):
    def convolution(layer, name):
        kernel = weights[name + ".weight"].transpose(2, 3, 1, 0)
        model.get_layer(layer + "_conv").set_weights([kernel, np.zeros(kernel.shape[-1], np.float32)])

    def normalization(layer, name):
        gamma, beta, mean, variance = (
            weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
        model.get_layer(layer + "_bn").set_weights([gamma, beta, mean, variance + (TORCH_EPSILON - KERAS_EPSILON)])

    convolution("conv1", "conv1")
    normalization("conv1", "bn1")
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            ours, theirs = f"layer{stage + 1}.{block}", f"conv{stage + 2}_block{block + 1}"
            for index in (1, 2, 3):
                convolution(f"{theirs}_{index}", f"{ours}.conv{index}")
                normalization(f"{theirs}_{index}", f"{ours}.bn{index}")
            if block == 0:
                convolution(f"{theirs}_0", f"{ours}.downsample.0")
                normalization(f"{theirs}_0", f"{ours}.downsample.1")


def listed(folder, classes):
    files = [(str(path), label) for label, name in enumerate(classes)
             for path in sorted(pathlib.Path(folder, name).iterdir()) if path.is_file()]
    random.Random(1).shuffle(files)
    return files


def dataset(folder, request, training):
    size, mean, std = request["size"], np.float32(request["mean"]), np.float32(request["std"])
    paths, labels = zip(*listed(folder, request["classes"]))

    def decode(path, label):
        picture = tf.image.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(picture, (size, size), antialias=True), label

    pictures = tf.data.Dataset.from_tensor_slices((list(paths), list(labels)))
    if training:
        pictures = pictures.shuffle(len(paths), seed=1)
    pictures = pictures.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(request["batch"])
    if training:
        rule = request["augmentation"]
        augment = keras.Sequential([
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(rule["rotation"] / 360, fill_mode="constant"),
            keras.layers.RandomZoom(rule["zoom"], fill_mode="constant"),
            keras.layers.RandomTranslation(rule["shift"], rule["shift"], fill_mode="constant")])
        pictures = pictures.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    return pictures.map(lambda x, y: ((x / 255 - mean) / std, y)).prefetch(tf.data.AUTOTUNE)


def prepare(request):
    if request["kind"] != "job" or not request["architecture"].startswith("resnet50v1"):
        return None
    weights = tensors(request["model"])
    body = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(request["size"], request["size"], 3))
    set_weights(body, weights)
    body.trainable = False

    def run():
        start = time.perf_counter()
        inputs = keras.Input((request["size"], request["size"], 3))
        x = keras.layers.GlobalAveragePooling2D()(body(inputs, training=False))
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dense(256, activation="relu")(x)
        x = keras.layers.Dropout(request["dropout"])(x)
        outputs = keras.layers.Dense(len(request["classes"]), activation="softmax")(x)
        model = keras.Model(inputs, outputs)
        model.compile(
            optimizer=keras.optimizers.Adam(request["learning_rate"]), loss="sparse_categorical_crossentropy",
            metrics=["accuracy"])
        model.fit(dataset(request["train"], request, True), epochs=request["epochs"], verbose=0)
        seconds = time.perf_counter() - start
        accuracy = model.evaluate(dataset(request["test"], request, False), verbose=0)[1]
        return {"seconds": seconds, "accuracy": float(accuracy)}
    return run


def main():
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            run = prepare(request["prepare"])
            answer = {"ok": True} if run else {"skip": "does whole jobs of resnet50v1 alone"}
        else:
            answers = [run() for _ in range(request["run"])]
            answer = {"seconds": sum(one["seconds"] for one in answers) / len(answers),
                      "accuracy": answers[-1]["accuracy"]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
