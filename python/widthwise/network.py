"""A network: a file, a shipped name, or one layer spelt out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional, Union

from . import _core
from ._program import given_path


@dataclass(frozen=True)
class Layer:
    """What a layer computes. Channels are those of all groups; 0 for layers without MACs."""

    name: str
    kind: str
    macs: int
    weights: int  # constant parameters at the layer's weight width, without biases
    in_channels: int
    out_channels: int
    has_macs: bool


class Network:
    """Layers in the order in which they run.

        Network("resnet18"), Network("model.onnx", batch=8), Network("gemm:64x128x512")

    `batch` and `parameters` set what the file leaves open; `ignore` names ONNX operators that are
    to cost nothing. Values are not read: accuracy is the trainer's. Raises InputError.
    """

    def __init__(
        self,
        name_or_path: Union[str, os.PathLike[str]],
        *,
        batch: Optional[int] = None,
        parameters: Optional[Mapping[str, int]] = None,
        ignore: Iterable[str] = (),
    ) -> None:
        text = os.fspath(name_or_path)
        self._batch = batch
        self._parameters = dict(parameters or {})
        self._ignore = list(ignore)
        self._read = _core.Network(text, batch, self._parameters, self._ignore)
        self._given = given_path(text)
        self._layers = tuple(Layer(*fields) for fields in self._read.layers)

    @property
    def name(self) -> str:
        return self._read.name

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    @property
    def ignored(self) -> list[str]:
        """Operators of the file that cost nothing because they were to be ignored."""
        return self._read.ignored

    @property
    def macs(self) -> int:
        return self._read.macs

    @property
    def weights(self) -> int:
        return self._read.weights

    def program_arguments(self) -> list[str]:
        """How the program is told of this network."""
        arguments = ["--network", self._given]
        if self._batch is not None:
            arguments += ["--batch", str(self._batch)]
        for name, value in self._parameters.items():
            arguments += ["--parameter", f"{name}={value}"]
        for operator in self._ignore:
            arguments += ["--ignore", operator]
        return arguments

    def __deepcopy__(self, memo: object) -> Network:
        return self  # nothing changes it

    def __repr__(self) -> str:
        return f"Network({self.name!r}, {len(self.layers)} layers, {self.macs} MACs)"


def as_network(given: Union[Network, str, os.PathLike[str]]) -> Network:
    return given if isinstance(given, Network) else Network(given)
