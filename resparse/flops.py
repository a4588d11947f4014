"""Forward cost per layer from fvcore; FLOPs = 2 x MACs of convolutions and linear layers."""

import copy
from collections.abc import Mapping

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

_COUNTED = ("conv", "linear")  # fvcore's operators; its total adds batch norm and pooling


def layer_macs(model: nn.Module, image_shape: tuple[int, ...]) -> dict[str, int]:
    """Multiply-accumulates of one image per convolution and linear layer, in network order.

    Counted on a copy in evaluation mode: the model's statistics and the RNG stay as they are.

    >>> layer_macs(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), (1, 2, 2))
    {'1': 12}
    """
    twin = copy.deepcopy(model).eval().cpu()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        analysis = FlopCountAnalysis(twin, torch.zeros(1, *image_shape))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counts = analysis.by_module_and_operator()
    return {
        name: int(sum(counts[name].get(operator, 0) for operator in _COUNTED))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def forward_flops(
    macs: Mapping[str, int], nnz: Mapping[str, int], sizes: Mapping[str, int]
) -> float:
    """FLOPs of one image through layers of which only ``nnz`` of ``sizes`` weights count."""
    return 2.0 * sum(macs[name] * nnz[name] / sizes[name] for name in macs)
