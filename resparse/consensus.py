"""What several processes that train one run agree on: masks as the first decides, equal weights."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from resparse import distributed
from resparse.files import sha256
from resparse.masks import Change, Masks, NonFinite
from resparse.method import Method
from resparse.storage import INTEGER


def decided(
    method: Method, device: torch.device, ask: Callable[[], Mapping[str, Change]]
) -> dict[str, Change]:
    """The changes that ``ask`` answers: of several processes the first's, on all.

    The method's state goes round as well: later counts may follow from it.
    """
    if distributed.world() == 1:
        return dict(ask())
    made, fault = dict[str, Change](), ""
    try:
        made = dict(ask()) if distributed.first() else {}
    except NonFinite as error:
        fault = str(error)
    alive = [name for name, change in made.items() if change.starved]
    starved, fault = distributed.agreed(lambda: (alive, fault))
    if fault:
        raise NonFinite(fault)
    parts = {f"mask/{name}": change.mask for name, change in made.items()}
    parts |= {f"reset/{n}": c.reset for n, c in made.items() if c.reset is not None}
    parts |= {f"state/{name}": value for name, value in method.state.items()}
    found = distributed.shared(parts, device)
    method.state, resets = under("state/", found), under("reset/", found)
    masks = under("mask/", found)
    return {name: Change(mask, resets.get(name), name in starved) for name, mask in masks.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin so, without the beginning."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def bits(tensor: Tensor) -> Tensor:
    """A sum over the bits of all numbers: another one where any differs, but for rare chance."""
    return tensor.detach().view(INTEGER[tensor.dtype]).sum(dtype=torch.int64)


def require_same(masks: Masks, model: nn.Module, step: int) -> None:
    """Raise RunFailed where processes do not have the same masks and weights after ``step``."""
    if distributed.world() > 1:
        sums = torch.stack([bits(weight) for weight in model.parameters()]).tolist()
        said = f"masks {masks.digest()[:12]}, weights {sha256(str(sums))[:12]}"
        distributed.require_same(f"after step {step} masks or weights", said)
