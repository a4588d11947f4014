"""Where a training image is cropped: torchvision's RandomResizedCrop, many images at once.

A step's draws depend on (seed, step) only, not on threads or processes.
"""

import math

import torch
from torch import Tensor

from resparse.seeds import generator

TRIES = 10  # torchvision's; then the centre, at the nearest valid ratio
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)


def random_boxes(heights: Tensor, widths: Tensor, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) of top, left, height, width in pixels, and flips (N,), all int64.

    The area is uniform in SCALE of the image's, the ratio log-uniform in RATIO; the first of ten
    tries that fits is taken.
    """
    rng = generator(seed, "crop", step)
    draws = torch.rand(len(heights), TRIES, 4, generator=rng, dtype=torch.float64)
    flips = (torch.rand(len(heights), generator=rng) < 0.5).long()
    high, wide = heights.double()[:, None], widths.double()[:, None]
    area = high * wide * (SCALE[0] + (SCALE[1] - SCALE[0]) * draws[..., 0])
    low, up = (math.log(value) for value in RATIO)
    ratio = torch.exp(low + (up - low) * draws[..., 1])
    h, w = (area / ratio).sqrt().round(), (area * ratio).sqrt().round()
    top = ((high - h + 1) * draws[..., 2]).floor()
    left = ((wide - w + 1) * draws[..., 3]).floor()
    fits = (w > 0) & (w <= wide) & (h > 0) & (h <= high)
    first = fits.int().argmax(1)  # the first maximum: 0 where none fits
    boxes = torch.stack([top, left, h, w], 2)[torch.arange(len(first)), first].long()
    return torch.where(fits.any(1)[:, None], boxes, _fallback(heights, widths)), flips


def _fallback(heights: Tensor, widths: Tensor) -> Tensor:
    """The largest box at the centre whose ratio is within RATIO."""
    w = torch.minimum(widths, (heights.double() * RATIO[1]).round().long())
    h = torch.minimum(heights, (widths.double() / RATIO[0]).round().long())
    return torch.stack([(heights - h) // 2, (widths - w) // 2, h, w], 1)


def centre_boxes(heights: Tensor, widths: Tensor, share: float) -> Tensor:
    """Boxes (N, 4) of the square at the centre whose side is ``share`` of the shorter side."""
    side = (share * torch.minimum(heights, widths).double()).long().clamp(min=1)
    return torch.stack([(heights - side) // 2, (widths - side) // 2, side, side], 1)
