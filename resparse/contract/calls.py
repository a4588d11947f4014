"""What is required of one call of a method: what it may touch, and what its answer must be."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from resparse.contract.toy import SHAPES
from resparse.errors import ContractBroken
from resparse.masks import Change
from resparse.method import Layers, Method


@contextmanager
def views_kept(what: str, step: int, layers: Layers) -> Iterator[None]:
    """ContractBroken where a tensor that the method was shown has been written."""
    shown = [
        (name, part, tensor, tensor.clone(), tensor._version)
        for name, layer in layers.items()
        for part, tensor in layer._asdict().items()
        if tensor is not None
    ]
    yield
    for name, part, tensor, before, version in shown:
        if tensor._version != version or not torch.equal(tensor, before):
            raise ContractBroken(
                f"{what} wrote into {part}; valid: leave what it is given as it is and return "
                "masks of its own",
                step=step,
                layer=name,
            )


def require_mask(step: int, name: str, what: str, mask: object, shape: tuple[int, ...]) -> None:
    """ContractBroken unless ``mask`` is a bool tensor of the layer's shape."""
    valid = f"valid: torch.bool of shape {shape}"
    if not isinstance(mask, Tensor):
        raise ContractBroken(f"{what} is a {type(mask).__name__}; {valid}", step=step, layer=name)
    if mask.dtype != torch.bool or tuple(mask.shape) != shape:
        is_now = f"{mask.dtype} of shape {tuple(mask.shape)}"
        raise ContractBroken(f"{what} is {is_now}; {valid}", step=step, layer=name)
    if what == "mask" and not bool(mask.any()):
        raise ContractBroken(
            "the mask keeps no weight (layer collapse); valid: at least one in every layer",
            step=step,
            layer=name,
        )


def require_layers(step: int, what: str, answer: object) -> None:
    """ContractBroken unless ``answer`` is a dict under names of layers."""
    if not isinstance(answer, Mapping):
        kind = type(answer).__name__
        raise ContractBroken(f"{what} returned a {kind}; valid: a dict by layer", step=step)
    for name in answer:
        if name not in SHAPES:
            raise ContractBroken(
                f"{what} names a layer {name!r}; valid: {', '.join(SHAPES)}", step=step
            )


def required_changes(
    step: int, changes: object, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Change]:
    """Copies of them; ContractBroken unless they are masks that can be installed, by layer."""
    require_layers(step, "update_masks", changes)
    assert isinstance(changes, Mapping)
    copies = {}
    for name, change in changes.items():
        if not isinstance(change, Change):
            kind = type(change).__name__
            raise ContractBroken(
                f"update_masks gave a {kind}; valid: Change(mask)", step=step, layer=name
            )
        require_mask(step, name, "mask", change.mask, shapes[name])
        if change.reset is not None:
            require_mask(step, name, "reset", change.reset, shapes[name])
        starved: object = change.starved
        if not isinstance(starved, bool):
            is_now = f"starved is {starved!r}"
            raise ContractBroken(f"{is_now}; valid: True or False", step=step, layer=name)
        reset = None if change.reset is None else change.reset.clone()
        copies[name] = Change(change.mask.clone(), reset, change.starved)
    return copies


def saved_state(step: int, method: Method) -> dict[str, Tensor]:
    """What a checkpoint holds of the method; ContractBroken where it could not hold it."""
    for name, value in method.state.items():
        if not isinstance(value, Tensor):
            raise ContractBroken(
                f"state[{name!r}] is a {type(value).__name__}; valid: a tensor, as a checkpoint "
                "holds nothing else",
                step=step,
            )
    return {name: value.detach().clone() for name, value in method.state.items()}


def same(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether both are missing, or equal in every element."""
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and torch.equal(one, other)


def require_same(step: int, first: dict[str, Change], again: dict[str, Change]) -> None:
    """ContractBroken unless two answers to the same question agree."""
    for name in SHAPES:
        one, other = first.get(name), again.get(name)
        if one is None or other is None:
            agree = one is other
        else:
            agree = same(one.mask, other.mask) and same(one.reset, other.reset)
            agree = agree and one.starved == other.starved
        if not agree:
            raise ContractBroken(
                "update_masks answered otherwise when asked again under the same seed; valid: an "
                "answer that depends on step, layers, state and self.rng alone",
                step=step,
                layer=name,
            )
