"""Which layers of a run store weights only where their masks are, and why the others do not."""

from typing import NamedTuple

import torch
from torch import nn

from resparse.errors import UsageError
from resparse.how import How
from resparse.method import Method
from resparse.models import maskable
from resparse.record import Run
from resparse.storage import Full

ENGINES = ("masked", "sparse", "auto")
PRECISIONS = {"fp32": torch.float32, "fp64": torch.float64}  # that the kernels compute in


class Engine(NamedTuple):
    """How a run's layers are stored."""

    stored: dict[str, Full]  # by layer; those that are missing in full
    crossover: dict[str, float]  # of each layer that can be packed, the density below which it is
    said: dict[str, str]  # by layer, in words; nothing of the masked engine


def require(engine: str, precision: str, density: float, how: How) -> None:
    """Raise UsageError for a name that is none, and where "sparse" cannot compute what is asked."""
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r}; valid: {', '.join(ENGINES)}")
    if how.crossover is not None and engine == "masked":
        raise UsageError("--crossover with engine masked; valid: with --engine sparse or auto")
    why = refused(precision, density, how)
    if engine == "sparse" and why:
        raise UsageError(f"engine sparse {why}, or engine masked or auto")


def refused(precision: str, density: float, how: How) -> str:
    """Why no layer of a run is packed, and what is valid; "" where some can be."""
    if precision not in PRECISIONS:
        return f"in precision {precision}; valid: --precision {' or '.join(PRECISIONS)}"
    if how.on_gpu:
        # no kernel of a GPU was shown to win: dense products are what GPUs are made for
        return "on a GPU, where its kernels are none; valid: --device cpu"
    if how.world > 1:
        return f"of {how.world} processes; valid: one"
    if density >= 1.0:
        return "at density 1, which leaves nothing out; valid: a density below 1"
    return ""


def engine_of(
    run: Run,
    model: nn.Module,
    macs: dict[str, int],
    counts: dict[str, int],
    how: How,
    method: type[Method],
) -> Engine:
    """Put sparse layers into ``model`` where the run's engine has them; parameters stay the same.

    ``macs`` are of one image, ``counts`` the active weights that the run's density asks for.
    Raises UsageError, naming a layer of a kind that "sparse" does not have; "auto" leaves it as it
    is and says so.
    """
    require(run.engine, run.precision, run.density, how)
    if run.engine == "masked":
        return Engine({}, {}, {})
    why = refused(run.precision, run.density, how)
    if run.engine == "auto" and method.grads == "always":
        why = why or "its method asks for dense gradients at every step"
    if why:
        return Engine({}, {}, dict.fromkeys(maskable(model), f"masked: {why}"))
    return _packed(run, model, macs, counts, how)


def _packed(
    run: Run, model: nn.Module, macs: dict[str, int], counts: dict[str, int], how: How
) -> Engine:
    from resparse.engine import crossover  # which imports a compiler
    from resparse.engine.layers import sparse_of
    from resparse.engine.packed import Packed

    found = Engine({}, {}, {})
    for name, weight in maskable(model).items():
        module = model.get_submodule(name)
        made = sparse_of(module)
        if made is None:
            if run.engine == "sparse":
                raise UsageError(
                    f"engine sparse: layer {name} is {module}, which it does not have; valid: "
                    "networks of linear layers and 1x1 convolutions, or engine auto or masked"
                )
            found.said[name] = f"masked: no sparse {type(module).__name__} like it"
            continue
        at = how.crossover
        if at is None:
            positions = macs[name] // weight.numel()  # of an image: macs are of one
            at = crossover.of(made, run.recipe.batch_size, positions)
        model.set_submodule(name, made)

        def tell(density: float, name: str = name, at: float = at) -> None:
            found.said[name] = _words(density, at, how)

        found.stored[name], found.crossover[name] = Packed(made, at, tell), at
        tell(counts[name] / weight.numel())  # until its first mask, which a ranking may have given
    return found


def _words(density: float, at: float, how: How) -> str:
    known = "measured on this machine" if how.crossover is None else "as asked"
    if density <= at:
        return f"sparse up to density {at:.3g}, {known}"
    return f"full: density {density:.3g} is above {at:.3g}, {known}"
