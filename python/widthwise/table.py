"""Tables of costs: made by the program, or measured elsewhere."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy

from . import _core
from ._program import run_program
from .accelerator import Accelerator, as_accelerator
from .bits import DEFAULT, Bits, split_bits
from .errors import InputError, WorkerError
from .network import Network, as_network

if TYPE_CHECKING:
    import numpy.typing
    import pandas

    Array = numpy.typing.NDArray[numpy.float64]

WEIGHT_BITS, ACTIVATION_BITS = 0, 1  # in _core.AXES

# Layers with an operand of constant weights, whose rows have a weight width of their own.
KINDS_WITH_WEIGHTS = ("convolution", "fully_connected", "recurrent")


class CostTable:
    """What every layer of a network costs at every width. Plain data, and a CSV file.

        table = CostTable.load("phone.csv")
        table.values("latency_cycles")[0]         # [weight widths, activation widths] of a layer
        table.cost(network, {"*": (4, 8)})        # totals of the network, by metric

    A plain table has a row per layer and pair of widths. A table by stored widths
    (`cost_table(..., stored=True)`) also says how the cost depends on the widths that a layer's
    tensors are stored at.
    """

    def __init__(self, read: _core.CostTable) -> None:
        self._read = read

    @classmethod
    def load(cls, name_or_path: Union[str, os.PathLike[str]]) -> CostTable:
        """Reads a CSV file, or a shipped table by its name.

        Raises InputError with all mistakes of the file, by line and column.
        """
        return cls(_core.CostTable.read(os.fspath(name_or_path)))

    @classmethod
    def parse(cls, text: str, name: str = "table") -> CostTable:
        """The same from text; `name` stands for the file in messages."""
        return cls(_core.CostTable.parse(text, name))

    @classmethod
    def from_pandas(
        cls, frame: pandas.DataFrame, provenance: Optional[Mapping[str, object]] = None
    ) -> CostTable:
        """Of measurements: columns `layer`, `weight_bits`, `activation_bits` and metrics."""
        said = "".join(f"# {key}: {value}\n" for key, value in (provenance or {}).items())
        return cls.parse(said + frame.to_csv(index=False), "frame")

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(self._read.csv())

    @property
    def layers(self) -> list[str]:
        return self._read.layers

    @property
    def kinds(self) -> list[str]:
        """Of the layers; empty texts where the table does not say."""
        return self._read.kinds

    @property
    def metrics(self) -> list[str]:
        """Names of what is costed, with their units."""
        return self._read.metrics

    @property
    def provenance(self) -> dict[str, str]:
        """Where the figures come from: accelerator, network, fidelity, clock_hz, ..."""
        return dict(self._read.provenance)

    @property
    def leaves_out(self) -> list[str]:
        """Layers that were not measured and count as costing nothing."""
        return self._read.leaves_out

    @property
    def clock_hz(self) -> Optional[float]:
        """None where the table does not say, as one that was measured in seconds."""
        said = self.provenance.get("clock_hz")
        return None if said is None else float(said)

    @property
    def axes(self) -> list[str]:
        """What the rows differ in, besides their layer."""
        return [_core.AXES[axis] for axis in self._read.axes]

    @property
    def weight_bits(self) -> Array:
        """The widths that there are rows at, ascending."""
        return self._widths(WEIGHT_BITS)

    @property
    def activation_bits(self) -> Array:
        return self._widths(ACTIVATION_BITS)

    def _widths(self, axis: int) -> Array:
        widths: Array = numpy.unique(self._read.rows[1][:, axis])
        return widths

    def values(self, metric: str = "latency_cycles") -> Array:
        """[layers, weight widths, activation widths] of a plain table.

        NaN where the table has no row. Layers without weights cost the same at every weight width.
        """
        index = _core.metric_index(self.metrics, metric)
        if self.axes != ["weight_bits", "activation_bits"]:
            raise InputError(
                "values: error: the table has further axes than widths "
                f"({', '.join(self.axes[2:])}); to_pandas() has all of them"
            )
        layers, at, values = self._read.rows
        weights = numpy.searchsorted(self.weight_bits, at[:, WEIGHT_BITS])
        activations = numpy.searchsorted(self.activation_bits, at[:, ACTIVATION_BITS])
        shape = (len(self.layers), len(self.weight_bits), len(self.activation_bits))
        cube = numpy.full(shape, numpy.nan)
        cube[layers, weights, activations] = values[:, index]
        for layer, kind in enumerate(self.kinds):
            rows = layers == layer
            same = at[rows, WEIGHT_BITS] == at[rows, ACTIVATION_BITS]
            if kind and kind not in KINDS_WITH_WEIGHTS and same.all():
                cube[layer][:, activations[rows]] = values[rows, index]
        return cube

    def to_pandas(self) -> pandas.DataFrame:
        """A row per layer and place: layer, kind, the axes, the metrics."""
        import pandas

        layers, at, values = self._read.rows
        columns: dict[str, Any] = {
            "layer": numpy.asarray(self.layers, dtype=object)[layers],
            "kind": numpy.asarray(self.kinds, dtype=object)[layers],
        }
        for axis in self._read.axes:
            column = at[:, axis]
            integers = column.astype(numpy.int64)
            columns[_core.AXES[axis]] = integers if (integers == column).all() else column
        for index, metric in enumerate(self.metrics):
            columns[metric] = values[:, index]
        return pandas.DataFrame(columns)

    def cost(
        self,
        network: Union[Network, str, os.PathLike[str]],
        bits: Bits = DEFAULT,
        *,
        default: str = DEFAULT,
    ) -> dict[str, float]:
        """Totals of a network at whole widths, by metric: what the table's machine takes.

        Layers that a mapping of `bits` does not name have the widths of `default`. Raises
        InputError for widths that the table has no row at: nothing is interpolated.
        """
        network = as_network(network)
        common, rules = split_bits(bits, network, default)
        totals = self._read.cost(network._read, common, rules)
        return dict(zip(self.metrics, totals))

    def __reduce__(self) -> tuple[Any, ...]:
        return CostTable.parse, (self._read.csv(),)

    def __deepcopy__(self, memo: object) -> CostTable:
        return self  # nothing changes it

    def __repr__(self) -> str:
        return f"CostTable({len(self.layers)} layers, {', '.join(self.metrics)})"


def cost_table(
    accelerator: Union[Accelerator, str, os.PathLike[str]],
    network: Union[Network, str, os.PathLike[str]],
    weight_bits: Optional[Iterable[int]] = None,
    activation_bits: Optional[Iterable[int]] = None,
    *,
    fidelity: str = "tile",
    stored: bool = False,
    channel_steps: Optional[int] = None,
    jobs: Optional[int] = None,
    timeout_s: Optional[int] = None,
    cache: Union[None, bool, str, os.PathLike[str]] = None,
) -> CostTable:
    """Costs every layer of a network at all pairs of the widths given.

    Widths that are not given are those of the machine. `fidelity`: "analytic" in closed form,
    "tile" simulated, "cycle" on integers. `stored`: also by the widths that tensors are stored at.
    `channel_steps`: also at so many shares of the channels, for pruning. `jobs` workers,
    `timeout_s` for each point. `cache`: a folder for points that were costed before, None for the
    program's own, False for none.

    Raises WorkerError if points failed; its `partial` has the others.
    """
    accelerator, network = as_accelerator(accelerator), as_network(network)
    arguments = [
        "table",
        *accelerator.program_arguments(),
        *network.program_arguments(),
        *("--fidelity", fidelity),
    ]
    for option, widths in (("--weight-bits", weight_bits), ("--activation-bits", activation_bits)):
        if widths is not None:
            arguments += [option, ",".join(str(width) for width in widths)]
    if stored:
        arguments.append("--stored")
    for option, value in (
        ("--channel-steps", channel_steps),
        ("--jobs", jobs),
        ("--timeout", timeout_s),
    ):
        if value is not None:
            arguments += [option, str(value)]
    if cache is False:
        arguments.append("--no-cache")
    elif cache is not None and cache is not True:
        arguments += ["--cache", os.fspath(cache)]

    name = f"{network.name} on {accelerator.name}"
    with tempfile.TemporaryDirectory(prefix="widthwise-") as folder:
        path = pathlib.Path(folder, "table.csv")
        try:
            run_program([*arguments, "-q", "-o", str(path)])
        except WorkerError as error:
            if path.exists():
                error.partial = CostTable.parse(path.read_text(encoding="utf-8"), name)
            raise
        return CostTable.parse(path.read_text(encoding="utf-8"), name)
