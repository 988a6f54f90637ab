#!/usr/bin/env python3
"""How fast sweeps are, on all processors, by the program itself: closed form, tiles searched for.

  evaluations  costs of (layer, widths, machine): ResNet-18 at all 49 pairs of 2 to 8 bits on arrays of
               different sizes. Layers that are alike within the network are computed once, and counted
               as often as they stand there, as they are for a user; nothing is shared between machines.
  co-search    the widths of ResNet-18 that lose least in half of its time at 8 bits, with the proof, 49
               options a layer, one machine after the other, infeasible ones included.

A tenth of the size of each goal is run. x_goal is our rate over that of the goal.

  sweep_speed.py PROGRAM
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

LAYERS = 21  # of ResNet-18 with multiply-accumulates
PAIRS = ", ".join(f"w{w}a{a}" for w in range(2, 9) for a in range(2, 9))

EVALUATIONS = f"""\
schema: space/1
accelerator: bitfusion_16x32
axes:
  engine.rows: {{from: 8, to: 26, step: 2}}
  engine.columns: {{from: 16, to: 52, step: 4}}
  bits: [{PAIRS}]
networks: [resnet18]
"""

CO_SEARCH = """\
schema: space/1
accelerator: bitfusion_16x32
axes:
  engine.rows: [8, 12, 16, 24, 32]
  engine.columns: [16, 24, 32, 48, 64]
  memory.dram.bandwidth: {from: 64 bit/cycle, to: 256 bit/cycle, step: 64}
networks: [resnet18]
search:
  budgets: {latency_cycles: {relative_to: w8a8, share: 0.5}}
  pins: {"@first": w8a8, "@last": w8a8}
  sensitivity: {rule: measured, file: hawqv3_resnet18_all_widths}
objectives: [loss, latency_s, area_mm2]
"""


def sweep(program, folder, name, space):
    """Seconds and machines."""
    file = folder / f"{name}.yaml"
    file.write_text(space, encoding="utf-8")
    begin = time.monotonic()
    subprocess.run([program, "sweep", file, "-o", folder / name, "-q"], check=True)
    seconds = time.monotonic() - begin
    found = json.loads((folder / name / "sweep.json").read_text(encoding="utf-8"))
    return seconds, found["machines"]["looked_at"]


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        seconds, cells = sweep(program, folder, "evaluations", EVALUATIONS)
        rate = cells * LAYERS / seconds
        print(f"evaluations  {rate:9,.0f} /s   a million in {1e6 / rate:6.1f} s   "
              f"x_goal {rate / (1e6 / 60):.2f} (60 s on 2 cores)")
        seconds, cells = sweep(program, folder, "co-search", CO_SEARCH)
        rate = cells / seconds
        print(f"co-search    {rate:9,.2f} /s   1,000 machines in {1e3 / rate:6.1f} s   "
              f"x_goal {rate / (1e3 / 120):.2f} (120 s on 2 cores)")


if __name__ == "__main__":
    main()
