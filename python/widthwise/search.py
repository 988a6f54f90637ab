"""Bit-width problems and searches: the best widths under budgets, with a proof.

    answer = widthwise.search("bismo_edge_8x8", "resnet18.onnx",
                              {"latency_cycles": ("w8a8", 0.5)})
    answer.bits                    # {layer: (weight bits, activation bits)}, as run() takes them
    answer.status, answer.bound    # "optimal", and what no choice is below
"""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from ._program import EXIT_INFEASIBLE, given_path, run_program
from .accelerator import Accelerator, as_accelerator
from .network import Network, as_network
from .table import CostTable

__all__ = ["Budget", "Solution", "search", "solve"]

Budget = Union[float, tuple[str, float], Mapping[str, Any]]
"""An upper limit; (widths, share): of the total at those widths; or a mapping as in a file."""


class Solution:
    """What was found. `raw` is the whole answer as the program writes it."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    @property
    def status(self) -> str:
        """"optimal", "feasible", "infeasible" or "time_limit"."""
        return str(self.raw["status"])

    @property
    def found(self) -> bool:
        return bool(self.raw["assignment"])

    @property
    def objective(self) -> Optional[float]:
        return _number(self.raw["objective"])

    @property
    def bound(self) -> Optional[float]:
        """No choice has a lower objective."""
        return _number(self.raw["bound"])

    @property
    def gap(self) -> Optional[float]:
        return _number(self.raw["gap"])

    @property
    def bits(self) -> dict[str, tuple[int, int]]:
        """Widths of weights and activations by layer; empty without an answer."""
        return {
            name: (widths["weight_bits"], widths["activation_bits"])
            for name, widths in self.raw["assignment"].items()
        }

    @property
    def costs(self) -> dict[str, float]:
        """Totals of the loss and of all costs."""
        return dict(self.raw["costs"])

    @property
    def budgets(self) -> list[dict[str, Any]]:
        """metric, limit, used, binding and shadow_price of each."""
        return list(self.raw["budgets"])

    @property
    def front(self) -> list[dict[str, Any]]:
        return list(self.raw.get("front", []))

    @property
    def confirmed(self) -> Optional[bool]:
        """Of a search: the simulated network costs what was predicted, within the budgets."""
        return self.raw.get("confirmed")

    def __repr__(self) -> str:
        return f"Solution({self.status!r}, objective={self.objective}, bound={self.bound})"


def solve(
    problem: Union[str, os.PathLike[str]],
    *,
    gap: float = 0.0,
    time_limit_s: float = 60.0,
    front: Optional[int] = None,
    front_cost: Optional[str] = None,
) -> Solution:
    """Solves a `problem/1` file, or a shipped one by its name.

    An infeasible problem is an answer: its status says so, and raw["shortfall"] by how much.
    """
    arguments = ["solve", given_path(os.fspath(problem))]
    return _answer([*arguments, *_solving(gap, time_limit_s, front, front_cost)])


def search(
    accelerator: Union[Accelerator, str, os.PathLike[str]],
    network: Union[Network, str, os.PathLike[str]],
    budgets: Mapping[str, Budget],
    *,
    weight_bits: Iterable[int] = range(2, 9),
    activation_bits: Iterable[int] = range(2, 9),
    minimize: Union[str, Mapping[str, float]] = "loss",
    pins: Optional[Mapping[str, str]] = None,
    ties: Sequence[Sequence[str]] = (),
    losses: Union[CostTable, Mapping[str, Any], None] = None,
    fidelity: str = "analytic",
    gap: float = 0.0,
    time_limit_s: float = 60.0,
    front: Optional[int] = None,
    front_cost: Optional[str] = None,
) -> Solution:
    """The best widths of a network on an accelerator, confirmed by simulation.

    `losses` is a table with the metric "loss", or a mapping as the key `sensitivity` of a file has
    it ({"rule": "quantization_error", "granularity": "per_channel"}); without it the quantization
    error of an ONNX file's weights. `pins` are widths by layer or pattern: {"@first": "w8a8"}.
    """
    accelerator, network = as_accelerator(accelerator), as_network(network)
    with tempfile.TemporaryDirectory(prefix="widthwise-") as folder:
        section: dict[str, Any] = {
            "weight_bits": list(weight_bits),
            "activation_bits": list(activation_bits),
            "minimize": minimize if isinstance(minimize, str) else dict(minimize),
            "budgets": {metric: _budget(said) for metric, said in budgets.items()},
            "pins": dict(pins or {}),
            "ties": [list(tie) for tie in ties],
        }
        if isinstance(losses, CostTable):
            file = str(pathlib.Path(folder, "losses.csv"))
            losses.save(file)
            section["sensitivity"] = {"rule": "measured", "file": file}
        elif losses is not None:
            said = dict(losses)
            if "file" in said:
                said["file"] = given_path(os.fspath(said["file"]))
            section["sensitivity"] = said
        experiment = pathlib.Path(folder, "search.yaml")
        whole = {"accelerator": "given", "network": "given", "search": section}
        experiment.write_text(f"schema: experiment/1\n{_lines(whole)}", encoding="utf-8")
        return _answer(
            [
                *("search", str(experiment)),
                *accelerator.program_arguments(),
                *network.program_arguments(),
                *("--fidelity", fidelity),
                *_solving(gap, time_limit_s, front, front_cost),
            ]
        )


def _lines(mapping: Mapping[str, Any]) -> str:
    """YAML: a line per key, values as JSON, which is YAML too."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in mapping.items())


def _budget(said: Budget) -> dict[str, Any]:
    if isinstance(said, Mapping):
        return dict(said)
    if isinstance(said, tuple):
        widths, share = said
        return {"relative_to": widths, "share": share}
    return {"max": said}


def _solving(
    gap: float, time_limit_s: float, front: Optional[int], front_cost: Optional[str]
) -> list[str]:
    arguments = ["--gap", repr(float(gap)), "--time-limit", repr(float(time_limit_s))]
    if front is not None:
        arguments += ["--front", str(front)]
    if front_cost is not None:
        arguments += ["--front-cost", front_cost]
    return arguments


def _answer(arguments: Sequence[str]) -> Solution:
    with tempfile.TemporaryDirectory(prefix="widthwise-") as folder:
        report = pathlib.Path(folder, "answer.json")
        run_program([*arguments, "-q", "--json", str(report)], accept=(EXIT_INFEASIBLE,))
        return Solution(json.loads(report.read_text(encoding="utf-8")))


def _number(value: Optional[float]) -> Optional[float]:
    return None if value is None else float(value)
