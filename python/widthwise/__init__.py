"""What a mixed-precision network costs on an accelerator, and how that changes with its widths.

    import widthwise

    table = widthwise.cost_table("bismo_edge_8x8", "resnet18", range(2, 9), range(2, 9))
    table.to_pandas()
    table.cost("resnet18", "w4a8")["latency_cycles"]

The same as a term of a loss: widthwise.torch.HardwareCost. Widths, cycles, picojoules and bytes
have their unit in their names. Simulations run in the program, a process of its own; everything
else in this one.
"""

from ._program import data_folder as _data_folder
from .accelerator import Accelerator
from .bits import Bits, Widths
from .errors import InputError, WorkerError
from .fractional import ChannelCost, FractionalCost
from .network import Layer, Network
from .report import Report, run
from .search import Budget, Solution, search, solve
from .table import CostTable, cost_table

if (_folder := _data_folder()) is not None:
    from . import _core

    _core.use_data_folder(_folder)

__all__ = [
    "Accelerator",
    "Bits",
    "Budget",
    "ChannelCost",
    "CostTable",
    "FractionalCost",
    "InputError",
    "Layer",
    "Network",
    "Report",
    "Solution",
    "Widths",
    "WorkerError",
    "cost_table",
    "run",
    "search",
    "solve",
]
