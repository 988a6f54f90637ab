"""One run of a network on a machine."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
from typing import TYPE_CHECKING, Any, Union

from ._program import run_program
from .accelerator import Accelerator, as_accelerator
from .bits import DEFAULT, Bits, assignment_file, split_bits
from .network import Network, as_network

if TYPE_CHECKING:
    import pandas


class Report:
    """What a run took. `raw` is the whole report as the program writes it (schema report/1)."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    @property
    def latency_cycles(self) -> int:
        return int(self.raw["total"]["latency_cycles"])

    @property
    def latency_s(self) -> float:
        return float(self.raw["total"]["latency_s"])

    @property
    def energy_pj(self) -> float:
        return float(self.raw["total"]["energy_pj"])

    @property
    def total(self) -> dict[str, Any]:
        """Sums over the layers, and what follows from them."""
        return dict(self.raw["total"])

    @property
    def layers(self) -> list[dict[str, Any]]:
        """A mapping per layer, in the order in which they ran."""
        return list(self.raw["layers"])

    def to_pandas(self) -> pandas.DataFrame:
        """A row per layer; parts of a figure as columns with a dot ("cycles.busy")."""
        import pandas

        return pandas.json_normalize(self.raw["layers"])

    def __repr__(self) -> str:
        return (
            f"Report({self.raw['network']!r}, {self.latency_cycles} cycles, "
            f"{self.energy_pj:.4g} pJ)"
        )


def run(
    accelerator: Union[Accelerator, str, os.PathLike[str]],
    network: Union[Network, str, os.PathLike[str]],
    bits: Bits = DEFAULT,
    *,
    fidelity: str = "tile",
) -> Report:
    """Runs a network: "analytic" in closed form, "tile" simulated, "cycle" on integers.

    Layers that a mapping of `bits` does not name have 8 bits.
    """
    accelerator, network = as_accelerator(accelerator), as_network(network)
    common, rules = split_bits(bits, network)
    with tempfile.TemporaryDirectory(prefix="widthwise-") as folder:
        report = pathlib.Path(folder, "report.json")
        if rules:
            common = str(pathlib.Path(folder, "bits.yaml"))
            pathlib.Path(common).write_text(assignment_file(rules, DEFAULT), encoding="utf-8")
        run_program(
            [
                "run",
                *accelerator.program_arguments(),
                *network.program_arguments(),
                *("--bits", common),
                *("--fidelity", fidelity),
                *("--json", str(report)),
                "-q",
            ]
        )
        return Report(json.loads(report.read_text(encoding="utf-8")))
