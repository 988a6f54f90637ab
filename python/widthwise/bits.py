"""Widths of a whole network.

"w4a8" gives every layer the same; a file or shipped name stands for an assignment; a mapping gives
them by layer name or pattern, later entries winning:

    {"*": "w4a4", "conv1": (8, 8), "fc": (8, None)}

A pair is (weight bits, activation bits), None where the default holds.
"""

from __future__ import annotations

import json
import operator
import os
import re
from collections.abc import Mapping
from typing import Optional, SupportsIndex, Union

from .errors import InputError

Widths = Union[str, tuple[Optional[SupportsIndex], Optional[SupportsIndex]]]
Bits = Union[str, os.PathLike[str], Mapping[str, Widths]]
Rule = tuple[str, Optional[int], Optional[int]]

DEFAULT = "w8a8"


def split_bits(bits: Bits, default: str = DEFAULT) -> tuple[str, list[Rule]]:
    """What holds for all layers, and the rules on top of it."""
    if isinstance(bits, str):
        return bits, []
    if isinstance(bits, os.PathLike):
        return os.fspath(bits), []
    return default, [rule_of(pattern, widths) for pattern, widths in bits.items()]


def rule_of(pattern: str, widths: Widths) -> Rule:
    if isinstance(widths, str):
        match = re.fullmatch(r"w(\d+)a(\d+)", widths)
        if match is None:
            raise InputError(
                f"bits: error: {pattern}: expected widths such as 'w4a8' or (4, 8), got '{widths}'"
            )
        return pattern, int(match[1]), int(match[2])
    weight, activation = widths
    return pattern, whole(weight), whole(activation)


def whole(width: Optional[SupportsIndex]) -> Optional[int]:
    return None if width is None else operator.index(width)


def assignment_file(rules: list[Rule], default: str) -> str:
    """The rules as the text of an assignment file, which the program reads."""
    lines = ["schema: assignment/1", "name: given", f"default: {default}"]
    if rules:
        lines.append("layers:")
    for pattern, weight, activation in rules:
        widths = {"weight_bits": weight, "activation_bits": activation}
        said = {key: value for key, value in widths.items() if value is not None}
        lines.append(f"  {json.dumps(pattern)}: {json.dumps(said)}")
    return "\n".join(lines) + "\n"
