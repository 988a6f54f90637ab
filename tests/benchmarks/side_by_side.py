#!/usr/bin/env python3
"""What a table of costs takes here and with what people use otherwise: layers costed in a second.

    side_by_side.py PROGRAM

Two rows are measured now, on one machine at one width: the cycles of every layer of ResNet-18 on a
16 x 16 weight-stationary array without memory limits, by the program and by a trace of every operand
of every cycle in Python (NumPy), which is how SCALE-Sim v2 comes to them (its compute stage, without
writing traces or a memory model). Both must come to the same cycles. The rates of other tools were
measured on another machine, two cores of Debian 12, and are quoted; none of them has costs by width.
"""

import csv
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy

TOP = pathlib.Path(__file__).resolve().parents[2]
ROWS = COLUMNS = 16

# Layers per second: tool, what it does, rate.
QUOTED = [
    ("MAESTRO -O2", "one given mapping, no search", 5000.0),
    ("BitSim Stripes", "with energy", 27.0),
    ("Bit Fusion's simulator", "tiles of powers of two", 2.6),
    ("DNNsim", "Stripes, no energy", 2.2),
    ("ZigZag", "its defaults", 0.4),
    ("Timeloop", "its mapper", 0.2),
    ("SCALE-Sim v2 and v3", "as shipped, with memory", 0.1),
]


def gemms():
    """Matrix products of ResNet-18 at 224 x 224: name, M, N, K; from the layers of its file."""
    shapes = [("conv1", 112 * 112, 64, 3 * 49)]
    size, channels = 56, 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in range(2):
            down = stage > 1 and block == 0
            size = size // 2 if down else size
            shapes.append((f"layer{stage}.{block}.conv1", size * size, width, channels * 9))
            shapes.append((f"layer{stage}.{block}.conv2", size * size, width, width * 9))
            if down:
                shapes.append((f"layer{stage}.{block}.downsample.0", size * size, width, channels))
            channels = width
    return [*shapes, ("fc", 1, 1000, 512)]


def traced_cycles(m, n, k):
    """Cycles of all folds, from the addresses that enter and leave the array in each of them."""
    cycles = 0
    operands = 0
    for row in range(0, k, ROWS):
        for column in range(0, n, COLUMNS):
            height, width = min(ROWS, k - row), min(COLUMNS, n - column)
            # Weights from above, row by row; inputs from the left, skewed; sums leave below.
            weights = numpy.full((ROWS, COLUMNS), -1)
            weights[:height, :width] = (row + numpy.arange(height))[::-1, None] * n + (
                column + numpy.arange(width))
            steps = m + ROWS + COLUMNS - 2
            inputs = numpy.full((steps, ROWS), -1)
            outputs = numpy.full((steps, COLUMNS), -1)
            positions = numpy.arange(m)
            for i in range(height):
                inputs[i:i + m, i] = positions * k + row + i
            for j in range(width):
                outputs[ROWS - 1 + j:ROWS - 1 + j + m, j] = positions * n + column + j
            operands += sum(int(numpy.count_nonzero(part >= 0))
                            for part in (weights, inputs, outputs))
            cycles += len(weights) + len(inputs)
    return cycles - 1, operands  # the last cycle of the last fold is not counted


def program_table(program, folder):
    table = pathlib.Path(folder) / "table.csv"
    begin = time.perf_counter()
    subprocess.run(
        [program, "table", "-a", "rtl/scalesim_v2", "-n", "resnet18", "--ideal-memory",
         "--fidelity", "analytic", "--weight-bits", "8", "--activation-bits", "8", "--no-cache",
         "-q", "-o", str(table)],
        check=True)
    seconds = time.perf_counter() - begin
    with table.open(encoding="utf-8") as lines:
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        return {row["layer"]: int(row["latency_cycles"]) for row in rows}, seconds


def all_widths(program, fidelity):
    """Seconds of a whole 8 x 8 table, all layers of ResNet-18, on Bit Fusion."""
    begin = time.perf_counter()
    subprocess.run(
        [program, "table", "-a", "bitfusion_16x32", "-n", "resnet18", "--fidelity", fidelity,
         "--no-cache", "-q", "-o", "/dev/null"],
        check=True)
    return time.perf_counter() - begin


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def main():
    program = sys.argv[1]
    begin = time.perf_counter()
    traced = {name: traced_cycles(m, n, k)[0] for name, m, n, k in gemms()}
    traced_seconds = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        ours, ours_seconds = program_table(program, folder)
    different = [name for name, cycles in traced.items() if ours[name] != cycles]
    if different:
        sys.exit(f"cycles differ: {', '.join(different)}")
    rate = len(traced) / ours_seconds
    points = len(traced) * 64  # compute layers at 64 pairs of widths
    rows = [
        ("widthwise table", "one width, closed form", rate),
        ("widthwise table", "64 pairs of widths, closed form with energy",
         points / all_widths(program, "analytic")),
        ("widthwise table", "64 pairs of widths, simulated by tiles with energy",
         points / all_widths(program, "tile")),
        ("operand trace in Python", "one width, the same cycles", len(traced) / traced_seconds),
    ]
    print(f"{processor()}: compute layers of ResNet-18 a second, from start to written file")
    print(f"{'tool':<24}{'what':<52}{'layers/s':>10}{'ours by':>10}")
    reference = rows[2][2]
    for tool, what, speed in rows + [(t, w + " (quoted)", s) for t, w, s in QUOTED]:
        print(f"{tool:<24}{what:<52}{speed:>10,.1f}{reference / speed:>9,.1f}x")
    print("ours: the simulated table")


if __name__ == "__main__":
    main()
