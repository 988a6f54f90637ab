"""A machine: a file or a shipped name, with keys changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Optional, Union

from . import _core
from ._program import given_path

Overrides = Union[Mapping[str, object], Iterable[str]]


class Accelerator:
    """A machine that networks run on.

        Accelerator("bitfusion_16x32", set={"engine.rows": 32, "clock": "1 GHz"})

    `set` changes keys of the file, as a mapping or as texts "key=value"; `ideal_memory` lifts the
    limits of DRAM and buffer ports. Raises InputError for whatever is wrong with the file or the
    keys.
    """

    def __init__(
        self,
        name_or_path: Union[str, os.PathLike[str]],
        *,
        set: Overrides = (),  # as the program calls it
        ideal_memory: bool = False,
    ) -> None:
        text = os.fspath(name_or_path)
        self._overrides = override_texts(set)
        self._read = _core.Accelerator(text, self._overrides)
        self._given = given_path(text)
        self._ideal_memory = ideal_memory

    @property
    def name(self) -> str:
        return self._read.name

    @property
    def clock_hz(self) -> float:
        return self._read.clock_hz

    @property
    def ideal_memory(self) -> bool:
        return self._ideal_memory

    @property
    def resolved(self) -> dict[str, str]:
        """Every key that has a value: {"engine.rows": "16", ...}."""
        return dict(self._read.resolved)

    def with_(
        self,
        changes: Overrides = (),
        /,
        *,
        ideal_memory: Optional[bool] = None,
        **keys: object,
    ) -> Accelerator:
        """The same machine with further keys changed: with_({"engine.rows": 8})."""
        return Accelerator(
            self._given,
            set=[*self._overrides, *override_texts(changes), *override_texts(keys)],
            ideal_memory=self._ideal_memory if ideal_memory is None else ideal_memory,
        )

    def program_arguments(self) -> list[str]:
        """How the program is told of this machine."""
        arguments = ["--accelerator", self._given]
        for text in self._overrides:
            arguments += ["--set", text]
        return arguments + (["--ideal-memory"] if self._ideal_memory else [])

    def __repr__(self) -> str:
        changed = f", set={self._overrides}" if self._overrides else ""
        ideal = ", ideal_memory=True" if self._ideal_memory else ""
        return f"Accelerator({self.name!r}{changed}{ideal})"


def override_texts(overrides: Overrides) -> list[str]:
    """["engine.rows=16"] of {"engine.rows": 16}."""
    if isinstance(overrides, str):
        return [overrides]
    if not isinstance(overrides, Mapping):
        return list(overrides)
    return [f"{key}={value_text(value)}" for key, value in overrides.items()]


def value_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_accelerator(given: Union[Accelerator, str, os.PathLike[str]]) -> Accelerator:
    return given if isinstance(given, Accelerator) else Accelerator(given)
