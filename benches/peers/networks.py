"""The networks of the comparison: their weights, photos to feed them, and export to ONNX.

All engines must run the same weights, so each network is built once in torch from a
safetensors file that lookalike loads as well, and the other engines get the ONNX file
made from it. The outputs are the pooled features, without the classifier.
"""
import contextlib
import inspect
import os
import pathlib
import warnings

import numpy
import torch
import torchvision
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import nn

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LITE0_WEIGHTS = REPOSITORY / "src/inference/weights/efficientnet-lite0-f16.safetensors"
PHOTOS = REPOSITORY / "fixtures/photos"
PHOTO_ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
RESNETS = ("resnet18", "resnet34", "resnet50")

# Input side, then the number of blocks of each stage and the stride of its first block;
# the weights' shapes tell the rest.
LITES = {
    "efficientnet-lite0": (224, ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))),
    "efficientnet-lite2": (260, ((1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1))),
}
NAMES = (*LITES, *RESNETS)


def input_side(name):
    return LITES[name][0] if name in LITES else 224


def photo_batch(name, folder, count):
    """Photos of a folder, spread evenly over it, as the network's f32 NCHW input."""
    paths = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix in PHOTO_ENDINGS)
    assert len(paths) >= count, f"{folder} has {len(paths)} photos, {count} are needed"
    side = input_side(name)
    pixels = numpy.empty((count, side, side, 3), numpy.float32)
    for place, values in enumerate(pixels):
        with Image.open(paths[place * len(paths) // count]) as photo:
            values[:] = photo.convert("RGB").resize((side, side), Image.BICUBIC)
    mean, deviation = (127, 128) if name in LITES else (IMAGENET_MEAN, IMAGENET_STD)
    pixels = (pixels - numpy.float32(mean)) / numpy.float32(deviation)
    return numpy.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


class Residual(nn.Sequential):
    def forward(self, values):
        return values + super().forward(values)


class LiteBuilder:
    """Makes EfficientNet-Lite out of folded weights.

    It follows the side of the feature maps while it adds layers, because TensorFlow's
    SAME padding depends on it: as constants the pads cost the engines nothing to find,
    and symmetric ones go into the convolution.
    """

    def __init__(self, tensors, side):
        self.tensors, self.side = tensors, side

    def conv(self, name, stride=1, depthwise=False, activation=True):
        weight = torch.from_numpy(self.tensors[name + ".weight"].astype(numpy.float32))
        outputs, inputs, kernel, _ = weight.shape
        groups = outputs if depthwise else 1
        out_side = -(-self.side // stride)
        pad = max((out_side - 1) * stride + kernel - self.side, 0)
        before, after = pad // 2, pad - pad // 2
        symmetric = before == after
        conv = nn.Conv2d(inputs * groups, outputs, kernel, stride, before if symmetric else 0, groups=groups)
        conv.weight.data = weight
        conv.bias.data = torch.from_numpy(self.tensors[name + ".bias"].astype(numpy.float32))
        self.side = out_side
        layers = [] if symmetric else [nn.ZeroPad2d((before, after, before, after))]
        return [*layers, conv, *([nn.ReLU6()] if activation else [])]

    def block(self, number, stride):
        prefix = f"_blocks.{number}."
        expands = prefix + "_expand_conv.weight" in self.tensors
        layers = self.conv(prefix + "_expand_conv") if expands else []
        layers += self.conv(prefix + "_depthwise_conv", stride, depthwise=True)
        layers += self.conv(prefix + "_project_conv", activation=False)
        convs = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        same = stride == 1 and convs[0].in_channels == convs[-1].out_channels
        return (Residual if same else nn.Sequential)(*layers)

    def network(self, stages):
        strides = [stride if block == 0 else 1 for blocks, stride in stages for block in range(blocks)]
        layers = self.conv("_conv_stem", 2)
        layers += [self.block(number, stride) for number, stride in enumerate(strides)]
        layers += self.conv("_conv_head")
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def make_resnet_weights(name, path, photos):
    """Saves a ResNet with random weights and the batch norm statistics of real photos.

    Fresh statistics (mean 0, variance 1) would let the activations grow from block to
    block, which neither int8 nor the comparison of results would stand.
    """
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the plain mean over the batches
    with torch.no_grad():
        for batch in torch.from_numpy(photos).split(16):
            model.train()(batch)
    tensors = {key: value.numpy() for key, value in model.state_dict().items()}
    part = path.with_suffix(".part")
    save_file({key: value for key, value in tensors.items() if value.dtype == numpy.float32}, part)
    part.rename(path)


def load_resnet(name, path):
    model = getattr(torchvision.models, name)()
    tensors = {key: torch.from_numpy(value) for key, value in load_file(path).items()}
    missing, unknown = model.load_state_dict(tensors, strict=False)
    assert not unknown and all(key.endswith("num_batches_tracked") for key in missing), (missing, unknown)
    model.fc = nn.Identity()
    return model


def build(name, work, photos, lite2_weights):
    """The torch model in eval mode and its weights file (None: lookalike has it built in).

    `photos` are inputs for the batch norm of a ResNet which is not in the folder yet.
    """
    if name in LITES:
        side, stages = LITES[name]
        path = lite2_weights if name == "efficientnet-lite2" else None
        return LiteBuilder(load_file(path or LITE0_WEIGHTS), side).network(stages).eval(), path
    path = work / f"{name}.safetensors"
    if not path.exists():
        make_resnet_weights(name, path, photos)
    return load_resnet(name, path).eval(), path


def export(model, name, path):
    """Writes the ONNX file with batch norm folded and a batch size that stays open.

    Newer versions of torch have a second exporter that needs one more package.
    """
    side = input_side(name)
    options = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    part = path.with_suffix(".part")
    with warnings.catch_warnings(), open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, torch.zeros(1, 3, side, side), str(part), opset_version=13, input_names=["input"],
            output_names=["features"], dynamic_axes={"input": {0: "batch"}, "features": {0: "batch"}}, **options)
    part.rename(path)
