"""Forward cost as the MicroNet challenge counts it: multiplications and additions apart.

Evci et al. 2020 and the RigL reproduction (appendix B) count by the rules of that challenge
(NeurIPS 2019). The defaults of ``Rules`` are those of the reproduction's released code. Only
convolutions and linear layers count: no pooling, no sum with a shortcut, no dropout.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

BASE_BITS = 32  # of the operation that counts as one


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is counted, and in how many bits: an operation of b bits counts b / 32."""

    bias: bool = True  # an addition an output and a stored number a filter, where a layer has one
    batch_norm: Literal["uncounted", "folded"] = "uncounted"  # folded: every layer has a bias (GR)
    relu_multiplications: int = 1  # an output of every layer, the classifier's and shortcuts' too
    multiplication_bits: int = 32
    addition_bits: int = 32
    weight_bits: int = 32
    mask_bits: int = 1  # a weight, of layers that are not dense: where the kept ones are


class Geometry(NamedTuple):
    """What one image meets in a layer."""

    filters: int  # output channels or neurons
    positions: int  # of a filter; 1 for a linear layer
    weights: int
    bias: bool

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer."""
        return self.weights * self.positions


class Count(NamedTuple):
    """Operations of one image, as many as there are, and the bits to store."""

    multiplications: int
    additions: int
    storage_bits: int


def geometries(model: nn.Module, image_shape: tuple[int, ...]) -> dict[str, Geometry]:
    """Convolutions and linear layers in network order, seen by hooks on one image.

    On a copy in evaluation mode: the model's hooks, statistics and the RNG stay as they are.

    >>> geometries(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)), (3, 8, 8))
    {'0': Geometry(filters=4, positions=64, weights=108, bias=True)}
    """
    twin = copy.deepcopy(model).eval().cpu()
    layers = {n: m for n, m in twin.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    positions = dict.fromkeys(layers, 0)

    def watch(name: str, filters: int) -> Any:
        def hook(module: nn.Module, given: Any, output: Tensor) -> None:
            positions[name] += output.numel() // filters

        return hook

    for name, layer in layers.items():
        layer.register_forward_hook(watch(name, len(layer.weight)))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        twin(torch.zeros(1, *image_shape))
    return {
        name: Geometry(
            len(layer.weight), positions[name], layer.weight.numel(), layer.bias is not None
        )
        for name, layer in layers.items()
    }


def count(layer: Geometry, nnz: int, rules: Rules) -> Count:
    """Operations of a layer that keeps ``nnz`` weights.

    A filter of n weights takes n multiplications and n - 1 additions a position. Filters are taken
    to keep equally many; where that is less than one weight, the challenge's counter has negative
    additions, here there are none.

    >>> count(Geometry(filters=4, positions=64, weights=108, bias=True), 54, Rules())
    Count(multiplications=3712, additions=3456, storage_bits=1964)
    """
    outputs, products = layer.filters * layer.positions, nnz * layer.positions
    biases = (layer.bias and rules.bias) or rules.batch_norm == "folded"
    bits = (nnz + layer.filters * biases) * rules.weight_bits
    return Count(
        multiplications=products + outputs * rules.relu_multiplications,
        additions=max(0, products - outputs) + outputs * biases,
        storage_bits=bits + (layer.weights * rules.mask_bits if nnz < layer.weights else 0),
    )


def flops(counted: Count, rules: Rules) -> float:
    """Operations in units of one of 32 bits."""
    multiplications = counted.multiplications * rules.multiplication_bits
    return (multiplications + counted.additions * rules.addition_bits) / BASE_BITS


def total(counts: Iterable[Count]) -> Count:
    """The sum over layers.

    >>> total([Count(1, 2, 3), Count(10, 20, 30)])
    Count(multiplications=11, additions=22, storage_bits=33)
    """
    return Count(*(sum(column) for column in zip(*counts, strict=True)))
