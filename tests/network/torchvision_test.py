#!/usr/bin/python3
"""Imports torchvision models from ONNX and compares them with PyTorch's own counts.

    torchvision_test.py ONNX_COUNTS SOURCE_DIR WORK_DIR [MODEL...]

Exports the models into WORK_DIR. Exit status 77 (skipped) without torchvision.
"""

import json
import pathlib
import subprocess
import sys

# Small ones, one of each family of operators; name others on the command line.
MODELS = [
    "resnet18",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "densenet121",
    "vit_b_16",
]

# Networks of which a workload with the same layer names is shipped.
WORKLOADS = ["resnet18", "mobilenet_v2"]

SKIPPED = 77

# What batch normalization of a module that was not trained may change of a weight; epsilon is at
# most 0.001.
FOLDING = 0.0006


def counts(program, *files):
    """What the importer counts in the files."""
    lines = subprocess.run([program, *files], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def mistakes(expected, found):
    """How the import of a model differs from PyTorch."""
    for key in ("macs", "weights"):
        if found[key] != expected[key]:
            yield f"{key}: PyTorch has {expected[key]}, the import {found[key]}"
    # Folding leaves one of the two parameters that batch normalization has per channel.
    norms = expected["batch_norm_parameters"]
    total = found["weights"] + found["biases"]
    least, most = expected["parameters"] - norms // 2, expected["parameters"]
    if not least <= total <= most or (norms == 0 and total != most):
        yield f"parameters: PyTorch has {most} ({norms} in batch norm), the import {total}"
    # Exporters fold batch normalization of mean 0 and variance 1 + epsilon into the weights.
    for name, sums in expected["checksums"].items():
        own = found["checksums"].get(name)
        if not own or any(abs(a - b) > FOLDING * sums[-1] for a, b in zip(sums, own)):
            yield f"{name}: PyTorch's weights sum to {sums}, the import's to {own}"


def main():
    program, source, work = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    models = sys.argv[4:] or MODELS
    try:
        import torchvision  # pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        print("torchvision is not installed (Debian package: python3-torchvision)")
        sys.exit(SKIPPED)
    command = [sys.executable, source / "scripts/export_onnx.py", "--output", work, *models]
    rows = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    is_good = True
    for row in rows:
        (found,) = counts(program, row["file"])
        wrong = list(mistakes(row, found))
        if row["model"] in WORKLOADS:
            (shipped,) = counts(program, source / f"workloads/{row['model']}.yaml")
            for name in sorted(found["layers"].keys() | shipped["layers"].keys()):
                if found["layers"].get(name) != shipped["layers"].get(name):
                    wrong.append(
                        f"{name}: the workload has {shipped['layers'].get(name)}, "
                        f"the import {found['layers'].get(name)}"
                    )
        print(f"{row['model']}: " + ("; ".join(wrong) or f"{found['macs']} MACs, as PyTorch"), flush=True)
        is_good = is_good and not wrong
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
