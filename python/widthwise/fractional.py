"""The cost of a network at fractional widths, with its gradient, on NumPy arrays.

The value and gradient that widthwise.torch gives; for searches that have no PyTorch. Between rows
of the table the cost is interpolated multilinearly, which is what the method defines (FracBits,
arXiv 2007.02017) and not what a machine would do: there is no hardware for 3.5 bits. Widths outside
the table cost what its nearest do, with gradient 0. A plain table charges a layer as if its input
and output were stored at its own activation width: low where another reader asks for more, high
where the reader of its output asks for less. A table by stored widths (`stored=True`) charges what
they are stored at.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional, Union

import numpy

from . import _core
from .network import Network, as_network

if TYPE_CHECKING:
    import numpy.typing

    from .table import CostTable

    Array = numpy.typing.NDArray[numpy.float64]
    ArrayLike = numpy.typing.ArrayLike


def bind(
    table: CostTable, network: Optional[Union[Network, str, os.PathLike[str]]]
) -> _core.NetworkBinding:
    """A table joined to its network; None for a plain table that stands for itself."""
    read = None if network is None else as_network(network)._read
    return _core.NetworkBinding(table._read, read)


class FractionalCost:
    """The cost as a function of a weight and an activation width per layer.

        cost = FractionalCost(table, network, "latency_cycles")
        value = cost(weight_bits, activation_bits)      # arrays in the order of cost.variables
        value, by_weight, by_activation = cost.gradient(weight_bits, activation_bits)

    At a row of the table the gradient is that towards more bits; at the last row, from fewer.
    """

    def __init__(
        self,
        table: CostTable,
        network: Optional[Union[Network, str, os.PathLike[str]]] = None,
        metric: str = "latency_cycles",
    ) -> None:
        self._cost = _core.FractionalCost(bind(table, network), metric)

    @property
    def variables(self) -> list[str]:
        """Layers that have widths, in the order in which they run."""
        return self._cost.variables

    def __call__(self, weight_bits: ArrayLike, activation_bits: ArrayLike) -> float:
        return self.gradient(weight_bits, activation_bits)[0]

    def gradient(
        self, weight_bits: ArrayLike, activation_bits: ArrayLike
    ) -> tuple[float, Array, Array]:
        return self._cost.evaluate(reals(weight_bits), reals(activation_bits))


class ChannelCost:
    """The same with a weight width for each output channel; a channel of 0 bits is pruned.

        cost = ChannelCost(table, network, "latency_cycles")
        value = cost(channel_bits, activation_bits)   # channel_bits: an array per variable

    A layer costs the mean of what its channels' widths cost, in proportion to the channels left.
    That errs low: channels of one width rarely fill an array's columns. `channels` says how many
    widths a variable has: 0 for a layer without weights.
    """

    def __init__(
        self,
        table: CostTable,
        network: Union[Network, str, os.PathLike[str]],
        metric: str = "latency_cycles",
    ) -> None:
        self._cost = _core.ChannelCost(bind(table, network), metric)
        self._offsets = list(self._cost.offsets)

    @property
    def variables(self) -> list[str]:
        return self._cost.variables

    @property
    def channels(self) -> list[int]:
        return [end - begin for begin, end in zip(self._offsets, self._offsets[1:])]

    def __call__(self, channel_bits: Sequence[ArrayLike], activation_bits: ArrayLike) -> float:
        return self.gradient(channel_bits, activation_bits)[0]

    def gradient(
        self, channel_bits: Sequence[ArrayLike], activation_bits: ArrayLike
    ) -> tuple[float, list[Array], Array]:
        parts = [reals(part) for part in channel_bits]
        self.check([part.size for part in parts])
        value, by_channel, by_activation = self._cost.evaluate(
            numpy.concatenate(parts), reals(activation_bits)
        )
        return value, numpy.split(by_channel, self._offsets[1:-1]), by_activation

    def check(self, sizes: Sequence[int]) -> None:
        """Raises InputError unless there are so many widths for the variables."""
        if list(sizes) == self.channels:
            return
        wrong: list[str] = []
        if len(sizes) != (count := len(self.variables)):
            wrong.append(f"expected {count} arrays, one per variable, got {len(sizes)}")
        else:
            rows = zip(self.variables, self.channels, sizes)
            wrong += [f"{name}: expected {n} widths, got {m}" for name, n, m in rows if n != m]
        raise _core.InputError("\n".join(f"channel_bits: error: {text}" for text in wrong))


def reals(values: ArrayLike) -> Array:
    return numpy.asarray(values, dtype=numpy.float64)
