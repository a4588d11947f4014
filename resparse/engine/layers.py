"""Linear layers and 1x1 convolutions that store weights only where their masks are."""

from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from resparse.engine import places
from resparse.engine.pattern import Pattern
from resparse.engine.threads import run

KINDS = (torch.float32, torch.float64)


class Kept(list[tuple[Tensor, Tensor]]):
    """What a dense gradient is formed of: (dy, x) of each part of a batch, both feature-major."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape

    def formed(self) -> Tensor:
        """The dense gradient, of the layer's own shape; made anew at each call."""
        parts = [torch.matmul(dy, x.mT).sum(0) for dy, x in self]
        return sum(parts[1:], parts[0]).view(self.shape)


class Product(torch.autograd.Function):
    """A layer's output from its input, stored weights and bias."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, layer: "Sparse"
    ) -> Tensor:
        """Saves the input feature-major; that of a layer before this one is so already."""
        pattern = cast(Pattern, layer.pattern)
        columns = layer.feature_major(x)
        ctx.save_for_backward(columns, values)
        ctx.pattern, ctx.layer, ctx.shape, ctx.biased = pattern, layer, x.shape, bias is not None
        return layer.image_major(pattern.forward(values, bias, columns), x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of input, values and bias; keeps what a dense one is formed of, where asked."""
        columns, values = ctx.saved_tensors
        dy = ctx.layer.feature_major(dy)
        if ctx.layer.kept is not None:
            ctx.layer.kept.append((dy, columns))
        dx = None
        if ctx.needs_input_grad[0]:
            dx = ctx.layer.image_major(ctx.pattern.backward(values, dy), ctx.shape)
        bias = dy.sum((0, 2)) if ctx.biased else None
        return dx, ctx.pattern.gradient(dy, columns), bias, None


class Sparse(nn.Module):
    """What both kinds of layer share: the weight is dense as long as there is no pattern.

    With one ``weight`` holds the values at the mask's ones (nnz,). ``state_dict`` gives and takes
    the dense weight either way.
    """

    pattern: Pattern | None = None
    kept: Kept | None = None  # asked for by giving an empty one before a backward pass
    weight: Any  # a Parameter
    bias: Any  # one, or None
    shape: torch.Size  # of the dense weight

    def adopt(self, known: nn.Module) -> Self:
        """Take the parameters of the layer that this one stands for."""
        self.weight, self.bias = known.weight, known.bias
        self.shape = self.weight.shape
        self.train(known.training)
        return self

    def dense(self, stored: Tensor) -> Tensor:
        """A tensor that runs along ``weight``, in the layer's own shape."""
        if self.pattern is None:
            return stored
        return self.pattern.unpacked(stored).view(self.shape)

    def product(self, x: Tensor) -> Tensor:
        """Raises TypeError for an input that is not of the weight's kind, here and on the CPU."""
        if x.dtype not in KINDS or x.dtype != self.weight.dtype or x.device.type != "cpu":
            raise TypeError(
                f"the sparse engine was given {x.dtype} on {x.device}, its weights are "
                f"{self.weight.dtype}; valid: the same, float32 or float64, on the CPU"
            )
        found: Tensor = Product.apply(x, self.weight, self.bias, self)  # type: ignore[no-untyped-call]
        return found

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.pattern is not None:
            destination[f"{prefix}weight"] = self.dense(self.weight)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        if self.pattern is not None:  # what follows from the masks to come is not known here
            self.weight.data = self.dense(self.weight)
            self.pattern = None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @staticmethod
    def feature_major(images: Tensor) -> Tensor:
        """An input, or an output's gradient, as (G, features, n), contiguous."""
        raise NotImplementedError

    @staticmethod
    def image_major(features: Tensor, like: torch.Size) -> Tensor:
        """The inverse, for images of ``like`` but for the number of features."""
        raise NotImplementedError


class SparseLinear(Sparse, nn.Linear):
    """(*, in) -> (*, out). What it gives is feature-major in memory: the next copies nothing."""

    @staticmethod
    def of(known: nn.Linear) -> "SparseLinear":
        """One in the place of ``known``, with its parameters."""
        made = SparseLinear(known.in_features, known.out_features, device="meta")
        return made.adopt(known)

    def forward(self, input: Tensor) -> Tensor:
        """Raises TypeError as ``product``; a dense layer leaves feature-major what is so."""
        if self.pattern is not None:
            return self.product(input)
        if input.dim() == 2 and input.t().is_contiguous() and self.bias is not None:
            return torch.addmm(self.bias[:, None], self.weight, input.t()).t()
        return super().forward(input)

    @staticmethod
    def feature_major(images: Tensor) -> Tensor:
        """(*, features) -> (1, features, n)."""
        flat = images.reshape(-1, images.shape[-1])
        if flat.t().is_contiguous():
            return flat.t()[None]
        made = flat.new_empty(1, flat.shape[1], flat.shape[0])
        run(places.turned, flat.contiguous(), made[0])
        return made

    @staticmethod
    def image_major(features: Tensor, like: torch.Size) -> Tensor:
        """(1, features, n) -> (*, features)."""
        return features[0].t().view(like[0], -1) if len(like) == 2 else _unflattened(features, like)


def _unflattened(features: Tensor, like: torch.Size) -> Tensor:
    return features[0].t().reshape(*like[:-1], features.shape[1])


class SparsePointwise(Sparse, nn.Conv2d):
    """A 1x1 convolution without padding and groups, of any stride."""

    @staticmethod
    def of(known: nn.Conv2d) -> "SparsePointwise":
        """One in the place of ``known``, with its parameters."""
        down, right = known.stride
        made = SparsePointwise(
            known.in_channels, known.out_channels, 1, (down, right), device="meta"
        )
        return made.adopt(known)

    def forward(self, input: Tensor) -> Tensor:
        """Raises TypeError as ``product``."""
        if self.pattern is None:
            return super().forward(input)
        if input.dim() != 4:
            raise TypeError(
                f"the sparse engine's 1x1 convolution was given {tuple(input.shape)}; "
                "valid: images (N, C, H, W)"
            )
        down, right = self.stride
        return self.product(input[..., ::down, ::right])

    @staticmethod
    def feature_major(images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H * W)."""
        return images.flatten(2).contiguous()

    @staticmethod
    def image_major(features: Tensor, like: torch.Size) -> Tensor:
        """(N, C, H * W) -> (N, C, H, W)."""
        return features.view(like[0], -1, *like[2:])


def sparse_of(module: nn.Module) -> Sparse | None:
    """A sparse layer that can stand for ``module``; None where there is no such."""
    if type(module) is nn.Linear:
        return SparseLinear.of(module)
    if type(module) is nn.Conv2d and pointwise(module):
        return SparsePointwise.of(module)
    return None


def pointwise(conv: nn.Conv2d) -> bool:
    """Whether a convolution mixes channels alone."""
    plain = conv.groups == 1 and conv.padding in ((0, 0), "valid") and conv.padding_mode == "zeros"
    return plain and tuple(conv.kernel_size) == (1, 1)
