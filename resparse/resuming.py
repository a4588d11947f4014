"""How a run is saved, and how it continues bit for bit."""

import dataclasses

import torch
from torch import Tensor

from resparse import distributed
from resparse.checkpoint import load_checkpoint, save_checkpoint
from resparse.consensus import require_same
from resparse.record import RunFolder
from resparse.storage import moments
from resparse.training import Progress, Training, model_state

MASKS = ("mask", "ever", "trained")


def save(t: Training, folder: RunFolder) -> None:
    """Write a checkpoint of all that the next step depends on; of several processes the first.

    None of a run that has diverged without knowing: it would continue as if it had not.
    """
    t.require_density()
    if not distributed.first() or t.watch.bad():
        return
    tensors = model_state(t)
    tensors |= {f"mask/{name}": mask for name, mask in t.masks.mask.items()}
    tensors |= {f"ever/{name}": ever for name, ever in t.masks.ever.items()}
    tensors |= {f"trained/{name}": trained for name, trained in t.masks.trained.items()}
    tensors |= {f"state/{name}": value for name, value in t.method.state.items()}
    for name, parameter in t.model.named_parameters():
        for moment in moments(t.optimizer, parameter):
            tensors[f"momentum/{name}"] = t.masks.dense(parameter, moment)
    t.progress.loss_sum = float(t.watch.loss)
    t.progress.scaler = t.scaler.state_dict() if t.scaler else {}
    tensors["rng"] = torch.get_rng_state()
    state = dataclasses.asdict(t.progress)
    save_checkpoint(folder.path, t.progress.step, tensors, state, run=t.run.key)
    folder.event(event="checkpoint", step=t.progress.step)


def _laid(tensor: Tensor, weight: Tensor) -> Tensor:
    """The tensor in the order of memory that ``weight`` has: fused steps run along both."""
    made = torch.empty_like(weight, dtype=tensor.dtype, requires_grad=False)
    return made.copy_(tensor)


def resume(t: Training, folder: RunFolder) -> None:
    """Continue from the newest sound checkpoint in ``folder``, if there is one."""
    found = load_checkpoint(
        folder.path, t.run.key, lambda what: folder.event(event="checkpoint passed over", what=what)
    )
    distributed.require_same("checkpoints to continue from", str(found and found[0]))
    if found is None:
        return
    step, tensors, state = found
    state["forward"] = [tuple(pair) for pair in state["forward"]]
    t.progress = Progress(**{"crossover": t.progress.crossover} | state)
    for name, below in t.progress.crossover.items():
        t.masks.stored[name].crossover = below  # layers go on as they began

    def part(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value.to(t.device)
            for name, value in tensors.items()
            if name.startswith(prefix)
        }

    t.model.load_state_dict(part("model/"))
    weights = t.masks.weights
    mask, ever, trained = (
        {n: _laid(m, weights[n]) for n, m in part(f"{of}/").items()} for of in MASKS
    )
    t.method.state = part("state/")
    momentum = part("momentum/")
    for name, parameter in t.model.named_parameters():
        if name in momentum:
            moment = _laid(momentum[name], parameter)
            t.optimizer.state[parameter] = {"momentum_buffer": moment}
    t.masks.restore(mask, ever, trained, t.optimizer)
    t.watch.loss.fill_(t.progress.loss_sum)
    if t.scaler is not None:
        t.scaler.load_state_dict(t.progress.scaler)
    torch.set_rng_state(tensors["rng"])
    t.require_density()
    require_same(t.masks, t.model, step - 1)
    folder.event(event="resumed", step=step)
