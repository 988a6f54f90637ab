"""What goes wrong, in three kinds.

InputError (a ValueError): what was given is wrong; the message has a line for each mistake.
WorkerError (a RuntimeError): points of a table failed, or the program did; a mistake of Widthwise.
RuntimeError: a broken invariant of Widthwise in this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ._core import InputError

if TYPE_CHECKING:
    from .table import CostTable

__all__ = ["InputError", "WorkerError"]


class WorkerError(RuntimeError):
    """The program failed, or some points of a table did. The message is what the program said."""

    exit_code: int
    """Of the program; negative if a signal ended it."""

    partial: Optional[CostTable]
    """The rows that succeeded; None where there are none."""

    def __init__(self, message: str, exit_code: int, partial: Optional[CostTable] = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.partial = partial


WorkerError.__module__ = "widthwise"
