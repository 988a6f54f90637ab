"""The hardware in a loss: costs of a network as differentiable functions of its widths.

    cost = HardwareCost(table, network)
    loss = cross_entropy(...) + budget_loss(cost(weight_bits, activation_bits), target)

Value and gradient are those of widthwise.FractionalCost, which says what is modelled, what is left
out and which way that errs; here for PyTorch, in float32 or float64, where the widths lie.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
from torch import Tensor

from . import _core
from ._interpolation import InterpolatedSum, working_type
from .fractional import ChannelCost, bind
from .network import Network
from .table import CostTable

__all__ = ["ChannelHardwareCost", "HardwareCost", "budget_loss"]

AnyNetwork = Union[Network, str, os.PathLike[str]]


class HardwareCost(torch.nn.Module):
    """A network's cost at a weight and an activation width per layer, as a scalar.

        cost = HardwareCost(table, network, "latency_cycles", scale=1 / clock_hz)
        seconds = cost(weight_bits, activation_bits)       # tensors in the order of cost.variables

    `metric` is any of the table's: latency_cycles, energy_pj, weight_bytes, bitops, ... Without a
    network a plain table stands for itself. Holds no parameters and no buffers: its constants
    follow the device and type of the widths. With a table that says what a scratchpad keeps, each
    call asks the models where the tensors lie, on the CPU.
    """

    def __init__(
        self,
        table: CostTable,
        network: Optional[AnyNetwork] = None,
        metric: str = "latency_cycles",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        binding = bind(table, network)
        self.metric = metric
        self.scale = scale
        self.variables = tuple(binding.variables)
        self._sum = InterpolatedSum(binding, _core.metric_index(binding.metrics, metric))

    def forward(self, weight_bits: Tensor, activation_bits: Tensor) -> Tensor:
        widths = (("weight_bits", weight_bits), ("activation_bits", activation_bits))
        for name, tensor in widths:
            if tensor.shape != (len(self.variables),):
                raise ValueError(
                    f"{name}: expected a tensor of {len(self.variables)} widths, one for each of "
                    f"HardwareCost.variables, got the shape {tuple(tensor.shape)}"
                )
        return self._sum(weight_bits, activation_bits) * self.scale

    def extra_repr(self) -> str:
        return f"{self.metric}, {len(self.variables)} layers, scale={self.scale:g}"


class ChannelHardwareCost(torch.nn.Module):
    """The same with a weight width for each output channel; a channel of 0 bits is pruned.

        cost = ChannelHardwareCost(table, network)
        cycles = cost([conv1_bits, conv2_bits, fc_bits], activation_bits)

    `channels` says how many widths each variable has, 0 for a layer without weights. Value and
    gradient come from widthwise.ChannelCost, on the CPU: widths on another device are copied there
    and back, and there are no second derivatives.
    """

    def __init__(
        self,
        table: CostTable,
        network: AnyNetwork,
        metric: str = "latency_cycles",
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.metric = metric
        self.scale = scale
        self._cost = ChannelCost(table, network, metric)
        self.variables = tuple(self._cost.variables)
        self.channels = tuple(self._cost.channels)

    def forward(self, channel_bits: Sequence[Tensor], activation_bits: Tensor) -> Tensor:
        self._cost.check([part.numel() for part in channel_bits])
        if activation_bits.shape != (len(self.variables),):
            raise ValueError(
                f"activation_bits: expected a tensor of {len(self.variables)} widths, one for each "
                f"of ChannelHardwareCost.variables, got the shape {tuple(activation_bits.shape)}"
            )
        flat = torch.cat([part.reshape(-1) for part in channel_bits])
        value: Tensor = _Evaluated.apply(self._cost._cost, flat, activation_bits)
        return value * self.scale

    def extra_repr(self) -> str:
        return f"{self.metric}, {len(self.variables)} layers, scale={self.scale:g}"


def budget_loss(cost: Tensor, target: float, kappa: float = 1.0) -> Tensor:
    """kappa |cost / target - 1|: pulls from both sides, as FracBits (arXiv 2007.02017) does.

    Relative to the target, so that kappa means the same in cycles, seconds and joules.
    """
    if not target > 0:
        raise ValueError(f"target: expected a number above 0, got {target}")
    return kappa * (cost / target - 1).abs()


class _Evaluated(torch.autograd.Function):
    """A cost that is computed in C++ together with its gradient."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, cost: _core.ChannelCost, first: Tensor, second: Tensor
    ) -> Tensor:
        value, by_first, by_second = cost.evaluate(
            first.detach().cpu().double().numpy(), second.detach().cpu().double().numpy()
        )
        ctx.save_for_backward(
            torch.from_numpy(by_first).to(first), torch.from_numpy(by_second).to(second)
        )
        return torch.tensor(value, dtype=working_type(first, second), device=first.device)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        by_first, by_second = ctx.saved_tensors
        return None, gradient.to(by_first) * by_first, gradient.to(by_second) * by_second
