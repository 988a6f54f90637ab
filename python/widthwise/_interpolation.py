"""The sum over a table's layers, each interpolated between its rows, in PyTorch.

All layers at once, without a loop over them, since a training step computes it for each batch. Two
steps: the widths of all layers become a place in each layer's grid (`places`), and each grid gives
its value there (`interpolated`). What is computed, and which derivative holds at a row, is as in
models/table/fractional_cost.hpp and layer_grid.hpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor

from . import _core

AXIS = {name: index for index, name in enumerate(_core.AXES)}
HOMES = {AXIS[name] for name in ("input_on_chip", "second_on_chip", "output_on_chip")}


def working_type(*tensors: Tensor) -> torch.dtype:
    """At least float32: cycles do not fit into half precision."""
    wide = any(tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if wide else torch.float32


class BoundLayer(NamedTuple):
    """A term of the sum: BoundLayer of models/table/fractional_cost.hpp; -1 stands for none."""

    grid: int
    own: int
    weighted: bool
    equal_widths: bool
    inputs: list[tuple[int, float]]
    second: int
    output: int

    @property
    def at_greater(self) -> bool:
        """The layer runs at the greater of its two widths."""
        return self.equal_widths and self.weighted


@dataclass
class Constants:
    """Of a sum with L layers, on one device and in one type.

    Each layer has n axes (fewer are filled up with axes of one point). T tensors have at most R
    readers; M layers read several tensors, at most I.
    """

    values: Tensor  # all grids behind one another
    offset: Tensor  # [L]: where a layer's grid begins
    stride: Tensor  # [L, n]: from a point of an axis to the next
    corners: Tensor  # [L, 2^n]: from the least corner of a cell to each of them
    points: Tensor  # [L n, P]: of the axes, ascending, filled up with infinity
    last_cell: Tensor  # [L n, 1]
    least: Tensor  # [L, n]: first point
    greatest: Tensor  # [L, n]: last point

    source: Tensor  # [L, n]: index into the vector of InterpolatedSum.places
    raised_to: Tensor  # [L, n]: likewise; the place is at least this
    readers: Tensor  # [T, R + 1]: index into activation widths, floors and a zero
    floors: Tensor  # [T + 1]
    inputs: Tensor  # [M, I]: tensors
    shares: Tensor  # [M, I]: of all elements read
    fixed: Tensor  # 0, 1 and minus infinity

    def moved(self, device: torch.device, dtype: torch.dtype) -> Constants:
        tensors = (getattr(self, field.name) for field in fields(self))
        return Constants(
            *(t.to(device, dtype if t.is_floating_point() else None) for t in tensors)
        )


class InterpolatedSum:
    """One metric of a bound table as a function of the widths of its variables."""

    def __init__(self, binding: _core.NetworkBinding, metric: int) -> None:
        layers = [BoundLayer(*bound) for bound in binding.layers]
        grids, values = binding.grids, binding.values(metric)
        # Only axes of two points or more say anything. Shares of channels are 1.
        axes = [
            [(axis, points) for axis, points in grids[layer.grid] if len(points) > 1]
            for layer in layers
        ]
        self._asks_homes = any(axis in HOMES for own in axes for axis, _ in own)
        self._binding = binding if self._asks_homes else None
        self._raises = any(layer.at_greater and len(own) > 2 for layer, own in zip(layers, axes))
        self._several = [layer.inputs for layer in layers if len(layer.inputs) > 1]
        self._tensors = len(binding.tensors)

        numbers = {
            **stacked_grids([values[layer.grid] for layer in layers], axes),
            **self._sources(len(binding.variables), layers, axes),
            **self._storage(len(binding.variables), binding.tensors),
        }
        self._constants = Constants(**{key: torch.from_numpy(n) for key, n in numbers.items()})
        self._moved: dict[tuple[torch.device, torch.dtype], Constants] = {}

    def __deepcopy__(self, memo: object) -> InterpolatedSum:
        return self  # nothing changes it

    def __call__(self, weight_bits: Tensor, activation_bits: Tensor) -> Tensor:
        dtype = working_type(weight_bits, activation_bits)
        key = (weight_bits.device, dtype)
        constants = self._moved.get(key)
        if constants is None:
            constants = self._moved[key] = self._constants.moved(*key)
        at = self.places(constants, weight_bits.to(dtype), activation_bits.to(dtype))
        return interpolated(constants, at).sum()

    def places(self, constants: Constants, weights: Tensor, activations: Tensor) -> Tensor:
        """[L, n]: where the layers are along their axes."""
        parts = [weights, activations, torch.maximum(weights, activations)]
        if self._tensors:
            # The first of the readers that ask for the most decides, before the floor.
            asked = torch.cat((activations, constants.floors))[constants.readers]
            stored = asked.max(dim=1).values
            parts.append(stored)
        if self._several:
            read = stored[constants.inputs]
            least = read.detach().amin(dim=1)  # of equal widths, the mean is exactly theirs
            parts.append(least + (constants.shares * (read - least[:, None])).sum(dim=1))
        if self._binding is not None:
            bits = stored.detach().double().cpu().numpy()
            homes = torch.from_numpy(self._binding.homes(bits)).to(stored)
            parts.append(homes)
            if self._several:
                elements = constants.shares * read
                on_chip = elements * homes[constants.inputs]
                parts.append(on_chip.sum(dim=1) / elements.sum(dim=1))
        sources = torch.cat((*parts, constants.fixed))
        at = sources[constants.source]
        if self._raises:
            floor = sources[constants.raised_to]
            at = torch.where(at < floor, floor, at)
        return at

    def _sources(
        self, count: int, layers: Sequence[BoundLayer], axes: Sequence[Sequence[tuple[int, Any]]]
    ) -> dict[str, numpy.ndarray[Any, Any]]:
        """Indices into the vector of `places`, which is put together in this order."""
        weight, activation, both, stored = (count * part for part in range(4))
        mean = stored + self._tensors
        home = mean + len(self._several)
        on_chip = home + (self._tensors if self._asks_homes else 0)
        zero = on_chip + (len(self._several) if self._asks_homes else 0)
        one, nothing = zero + 1, zero + 2

        shape = padded_shape(axes)
        source = numpy.full(shape, zero)
        raised_to = numpy.full(shape, nothing)
        several = 0
        for row, (layer, own_axes) in enumerate(zip(layers, axes)):
            own = activation + layer.own if layer.own >= 0 else stored + layer.output
            at = {
                "weight_bits": weight + layer.own if layer.weighted else own,
                "activation_bits": both + layer.own if layer.at_greater else own,
                "stored_second_bits": stored + layer.second if layer.second >= 0 else zero,
                "stored_output_bits": stored + layer.output,
                "second_on_chip": home + layer.second if layer.second >= 0 else zero,
                "output_on_chip": home + layer.output,
                "input_share": one,
                "output_share": one,
            }
            if len(layer.inputs) == 1:
                at["stored_input_bits"] = stored + layer.inputs[0][0]
                at["input_on_chip"] = home + layer.inputs[0][0]
            elif layer.inputs:
                at["stored_input_bits"] = mean + several
                at["input_on_chip"] = on_chip + several
                several += 1
            for column, (axis, _) in enumerate(own_axes):
                name = _core.AXES[axis]
                source[row, column] = at[name]
                if layer.at_greater and name in ("stored_input_bits", "stored_second_bits"):
                    raised_to[row, column] = both + layer.own
        return {"source": source, "raised_to": raised_to}

    def _storage(
        self, variables: int, rules: Sequence[tuple[int, Sequence[int]]]
    ) -> dict[str, numpy.ndarray[Any, Any]]:
        """How wide tensors are stored, and which are read together."""
        zero = variables + len(rules)
        columns = max((len(readers) for _, readers in rules), default=0)
        table = numpy.full((len(rules), columns + 1), zero)
        for tensor, (_, readers) in enumerate(rules):
            table[tensor, : len(readers)] = readers
            table[tensor, -1] = variables + tensor
        columns = max(map(len, self._several), default=0)
        inputs = numpy.zeros((len(self._several), columns), dtype=numpy.int64)
        shares = numpy.zeros((len(self._several), columns))
        for row, read in enumerate(self._several):
            inputs[row], shares[row] = read[0][0], 0  # fills up with a tensor that it has
            inputs[row, : len(read)] = [tensor for tensor, _ in read]
            shares[row, : len(read)] = [share for _, share in read]
        return {
            "readers": table,
            "floors": numpy.array([*(floor for floor, _ in rules), 0], dtype=numpy.float64),
            "inputs": inputs,
            "shares": shares,
            "fixed": numpy.array([0, 1, -numpy.inf]),
        }


def padded_shape(axes: Sequence[Sequence[Any]]) -> tuple[int, int]:
    return len(axes), max(1, max(map(len, axes), default=0))


def stacked_grids(
    values: Sequence[numpy.ndarray[Any, Any]],
    axes: Sequence[Sequence[tuple[int, Sequence[float]]]],
) -> dict[str, numpy.ndarray[Any, Any]]:
    """Grids of different shapes as arrays of one."""
    layers, n = padded_shape(axes)
    longest = max((len(points) for own in axes for _, points in own), default=2)
    points = numpy.full((layers, n, longest), numpy.inf)
    points[:, :, 0] = 0
    count = numpy.ones((layers, n), dtype=numpy.int64)
    stride = numpy.zeros((layers, n), dtype=numpy.int64)
    for row, own in enumerate(axes):
        step = 1
        for column in reversed(range(len(own))):
            _, along = own[column]
            points[row, column, : len(along)] = along
            count[row, column] = len(along)
            stride[row, column] = step
            step *= len(along)
    last = numpy.take_along_axis(points, count[:, :, None] - 1, axis=2)[:, :, 0]
    # Bit k of a corner's number says whether it is the upper one along axis n - 1 - k.
    upper = numpy.arange(2**n)[:, None] >> numpy.arange(n)[::-1] & 1
    sizes = [grid.size for grid in values]
    return {
        "values": numpy.concatenate([numpy.zeros(0), *values]),
        "offset": numpy.cumsum([0, *sizes[:-1]]) if sizes else numpy.zeros(0, dtype=numpy.int64),
        "stride": stride,
        "corners": stride @ upper.T,
        "points": points.reshape(layers * n, longest),
        "last_cell": numpy.maximum(count - 2, 0).reshape(-1, 1),
        "least": points[:, :, 0].copy(),
        "greatest": last,
    }


def interpolated(constants: Constants, at: Tensor) -> Tensor:
    """[L]: the value of each layer's grid at its place, outside of it at the nearest inside.

    At a point the derivative is that of the cell above it, at the last point of the one below.
    """
    at = torch.clamp(at, constants.least, constants.greatest)
    flat = at.reshape(-1, 1)
    cell = torch.searchsorted(constants.points, flat.detach(), right=True) - 1
    cell = torch.minimum(cell.clamp(min=0), constants.last_cell)
    low = constants.points.gather(1, cell)
    width = constants.points.gather(1, cell + 1) - low  # infinite where an axis has one point
    part = ((flat - low) / width).view_as(at)
    corner = constants.offset + (cell.view_as(at) * constants.stride).sum(dim=1)
    values = constants.values[corner[:, None] + constants.corners]
    for axis in range(at.shape[1]):
        lower, upper = values.chunk(2, dim=1)
        values = torch.lerp(lower, upper, part[:, axis, None])
    return values.squeeze(1)
