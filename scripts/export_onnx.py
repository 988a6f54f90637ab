#!/usr/bin/python3
"""Exports torchvision classification models to ONNX, with counts to compare an importer against.

    scripts/export_onnx.py resnet18 vit_b_16 --output DIR
    scripts/export_onnx.py --all --output DIR

Weights are random; nothing is downloaded. Writes DIR/NAME.onnx and prints a JSON list, per model:
macs (of convolutions and matrix products, as PyTorch dispatches them in one forward pass), weights
(elements of the weights of the convolutions, linear layers and attention projections that ran),
parameters (all elements of all modules that ran), batch_norm_parameters (those of batch
normalization) and checksums: by convolution and linear layer that ran, the sum of its weights, the
sum in which the i-th counts i mod 251 + 1 times, and that of the magnitudes so often. Needs Debian's python3-torchvision and python3-onnx.
"""

import argparse
import json
import pathlib
import sys
import warnings

import torch
import torchvision
from torch.utils._python_dispatch import TorchDispatchMode

MODELS = [
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "vgg16",
    "alexnet",
    "squeezenet1_1",
    "densenet121",
    "googlenet",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_16",
    "mnasnet1_0",
    "regnet_y_400mf",
    "inception_v3",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "swin_t",
]

# Models that are built with other arguments, or run on other images, than the rest.
ARGUMENTS = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}
IMAGE_SIZE = {"inception_v3": 299}


class MacCounter(TorchDispatchMode):
    """Adds up the multiply-accumulates of all convolutions and matrix products."""

    def __init__(self):
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "convolution":
            self.macs += result.numel() * args[1][0].numel()
        elif name in ("mm", "bmm"):
            self.macs += result.numel() * args[0].shape[-1]
        elif name in ("addmm", "baddbmm"):
            self.macs += result.numel() * args[1].shape[-1]
        elif "attention" in name:
            raise RuntimeError(f"{name} hides its matrix products")
        return result


def checksums(weight):
    """The sums of the values in the order in which PyTorch holds them."""
    values = weight.detach().double().flatten()
    times = torch.arange(values.numel()) % 251 + 1
    sums = (values, values * times, values.abs() * times)
    return [tensor.sum().item() for tensor in sums]


def count(model, image):
    """The counts of one forward pass, from the dispatcher and from the modules that ran."""
    ran = []
    hooks = [
        module.register_forward_hook(lambda module, *_: ran.append(module))
        for module in model.modules()
    ]
    # With gradients enabled, attention is dispatched as the matrix products that it consists of.
    with MacCounter() as counter:
        model(image)
    for hook in hooks:
        hook.remove()

    weights = {}
    parameters = {}
    norms = {}
    for module in ran:
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, torch.nn.MultiheadAttention):
            own["out_proj.weight"] = module.out_proj.weight
            own["out_proj.bias"] = module.out_proj.bias
            weights[id(module.in_proj_weight)] = module.in_proj_weight
            weights[id(module.out_proj.weight)] = module.out_proj.weight
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            weights[id(module.weight)] = module.weight
        # Some modules use the parameters of linear layers without running them.
        for child in module.children():
            if isinstance(child, torch.nn.Linear) and child not in ran:
                weights[id(child.weight)] = child.weight
                own[f"{id(child)}.weight"] = child.weight
                if child.bias is not None:
                    own[f"{id(child)}.bias"] = child.bias
        if isinstance(module, torch.nn.BatchNorm2d):
            norms.update({id(p): p for p in own.values()})
        parameters.update({id(p): p for p in own.values() if p is not None})

    def elements(tensors):
        return sum(tensor.numel() for tensor in tensors.values())

    return {
        "macs": counter.macs,
        "weights": elements(weights),
        "parameters": elements(parameters),
        "batch_norm_parameters": elements(norms),
        "checksums": {
            name: checksums(module.weight)
            for name, module in model.named_modules()
            if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module in ran
        },
    }


def export(name, batch, directory):
    """Exports one model and returns its row of the list."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None, **ARGUMENTS.get(name, {})).eval()
    size = IMAGE_SIZE.get(name, 224)
    image = torch.zeros(batch, 3, size, size)
    path = directory / f"{name}.onnx"
    row = {"model": name, "file": str(path), "batch": batch, **count(model, image)}
    torch.onnx.export(model, image, str(path), opset_version=13)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="a torchvision classifier")
    parser.add_argument("--all", action="store_true", help=" ".join(MODELS))
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("."), metavar="DIR")
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    names = MODELS if options.all else options.models
    if not names:
        parser.error("name a model, or --all")
    known = torchvision.models.list_models(module=torchvision.models)
    for name in names:
        if name not in known:
            parser.error(f"torchvision has no classifier '{name}'")
    options.output.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    rows = []
    for name in names:
        rows.append(export(name, options.batch, options.output))
        print(f"{name}: exported", file=sys.stderr)
    json.dump(rows, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
