"""Area of the shipped machines, and where it is published."""

import re

from claims import claim
from runs import TOP, Run
from text import bullets, ratio, table, wrapped


def plan(runner, short):
    machines = sorted(path.stem for path in (TOP / "configs/accelerators").glob("*.yaml"))
    futures = {}
    for machine in machines[:3] if short else machines:
        futures[machine] = runner.submit(Run(machine, "tiny_mlp", "w8a8", fidelity="analytic"))

    def render(document):
        document.heading("4. Area")
        document.add(
            wrapped(
                "Cells and memory macros in mm2, without wires, control and DRAM; from any "
                "report (`total.area_um2`). Units: synthesis for Nangate45 or as derived in the "
                "energy table, memories: CACTI at 45 nm, both with their sources in "
                "`configs/energy/`."
            )
        )
        rows = []
        for machine, future in futures.items():
            area = future.result().total["area_um2"]
            text = (TOP / f"configs/accelerators/{machine}.yaml").read_text(encoding="utf-8")
            unit = re.search(r"^  unit: (\w+)", text, re.MULTILINE)[1]
            energy = re.search(r"^energy: \S*/(\w+)\.yaml", text, re.MULTILINE)[1]
            buffers = sum(area[key] for key in area if key.endswith("_buffer"))
            figures = (area["array"], buffers, area["scratchpad"], area["post"], area["total"])
            rows.append(
                [f"`{machine}`", f"`{unit}`", f"`{energy}`"] + [f"{f / 1e6:.3f}" for f in figures]
            )
        document.add(
            table(
                ["machine", "unit", "table", "array", "buffers", "scratchpad", "post", "total"],
                rows,
                left=3,
            )
        )
        ours = futures["bitfusion_16x32"].result().total["area_um2"]
        array = ours["array"] / 1e6 / claim("bitfusion", "area", "array")
        buffers = (
            sum(ours[key] for key in ours if key.endswith("_buffer"))
            / 1e6
            / claim("bitfusion", "area", "buffers")
        )
        document.summarize(
            "area of Bit Fusion's array and buffers",
            [array - 1, buffers - 1],
            "20 %",
            [f"{array - 1:+.3f}"] if abs(array - 1) > 0.2 or abs(buffers - 1) > 0.2 else [],
        )
        document.add(
            bullets(
                [
                    "Bit Fusion publishes 0.888 mm2 for the array and 1.253 mm2 for the buffers "
                    f"at 45 nm: ratios {ratio(array)} and {ratio(buffers)}; the buffers are made "
                    "of the same macros, which is no validation, the units are another synthesis.",
                    "Chips have more on them than cells and macros: Eyeriss 12.25 mm2 at 65 nm "
                    "(5.87 as 45 nm), UNPU 16 mm2 at 65 nm.",
                ]
            )
        )

    return render
