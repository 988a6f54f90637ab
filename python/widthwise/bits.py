"""Widths of a whole network.

"w4a8" gives every layer the same; a file or shipped name stands for an assignment; a mapping gives
them by layer name or pattern, later entries winning:

    {"*": "w4a4", "conv1": (8, 8), "fc": (8, None)}

A pair is (weight bits, activation bits), None where what was said before holds. A pattern with * or
? stands for the layers with multiply-accumulates that it matches; the others follow them, as they
do where nothing is said.
"""

from __future__ import annotations

import json
import operator
import os
import re
from collections.abc import Iterator, Mapping
from typing import Optional, SupportsIndex, Union

from .errors import InputError
from .network import Network

Widths = Union[str, tuple[Optional[SupportsIndex], Optional[SupportsIndex]]]
Bits = Union[str, os.PathLike[str], Mapping[str, Widths]]
Rule = tuple[str, Optional[int], Optional[int]]

DEFAULT = "w8a8"


def split_bits(bits: Bits, network: Network, default: str = DEFAULT) -> tuple[str, list[Rule]]:
    """What holds for all layers, and the rules on top of it."""
    if isinstance(bits, str):
        return bits, []
    if isinstance(bits, os.PathLike):
        return os.fspath(bits), []
    return default, [
        rule
        for pattern, widths in bits.items()
        for rule in rules_of(pattern, *pair(pattern, widths), network)
    ]


def pair(pattern: str, widths: Widths) -> tuple[Optional[int], Optional[int]]:
    if isinstance(widths, str):
        match = re.fullmatch(r"w(\d+)a(\d+)", widths)
        if match is None:
            raise InputError(
                f"bits: error: {pattern}: expected widths such as 'w4a8' or (4, 8), got '{widths}'"
            )
        return int(match[1]), int(match[2])
    weight, activation = widths
    return whole(weight), whole(activation)


def whole(width: Optional[SupportsIndex]) -> Optional[int]:
    return None if width is None else operator.index(width)


def rules_of(
    pattern: str, weight: Optional[int], activation: Optional[int], network: Network
) -> Iterator[Rule]:
    matches = [
        layer
        for layer in network.layers
        if re.search(r"[*?]", pattern) and layer.has_macs and matches_pattern(layer.name, pattern)
    ]
    for layer in matches:
        yield layer.name, weight if layer.weights else None, activation
    if not matches:  # a name; or a mistake, which is named when it is applied
        yield pattern, weight, activation


def matches_pattern(name: str, pattern: str) -> bool:
    parts = (
        {"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern
    )
    return re.fullmatch("".join(parts), name, re.DOTALL) is not None


def assignment_file(rules: list[Rule], default: str) -> str:
    """The rules as the text of an assignment file, which the program reads."""
    lines = ["schema: assignment/1", "name: given", f"default: {default}"]
    merged: dict[str, dict[str, int]] = {}
    for name, weight, activation in rules:
        said = merged.pop(name, {})  # a later rule stands further down
        if weight is not None:
            said["weight_bits"] = weight
        if activation is not None:
            said["activation_bits"] = activation
        merged[name] = said
    if any(merged.values()):
        lines.append("layers:")
    for name, said in merged.items():
        if said:
            lines.append(f"  {json.dumps(name)}: {json.dumps(said)}")
    return "\n".join(lines) + "\n"
