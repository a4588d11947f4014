"""Several processes train one run together, under torchrun: the first decides, all agree.

Each is alone with itself where there is one process, and nothing here costs anything then.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from resparse.data.order import own_share
from resparse.errors import Missing, PeerLost, RunFailed

T = TypeVar("T")


def launched() -> bool:
    """Whether torchrun started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()


def world() -> int:
    """How many processes train together."""
    return own_share().world


def first() -> bool:
    """Whether this is the process that decides, writes and prints; one alone is."""
    return own_share().rank == 0


def together() -> bool:
    """Whether this process has joined others."""
    return distributed.is_available() and distributed.is_initialized()


@contextmanager
def joined(timeout_s: float) -> Iterator[None]:
    """Inside, the processes that torchrun started are together; alone without it.

    One that is silent for ``timeout_s`` ends all. What lies on GPUs goes through NCCL, the rest
    through gloo; all of it where this machine has fewer GPUs than processes (see require_gpus).
    """
    if not launched() or together():
        yield
        return
    here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if here <= gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "cpu:gloo,cuda:nccl" if here <= gpus else "gloo"
    limit = timedelta(seconds=timeout_s)
    store, rank, size = next(rendezvous("env://", timeout=limit))
    if os.environ["GROUP_WORLD_SIZE"] == "1":
        # after a restart torch would find addresses of processes that are gone in torchrun's store;
        # machines may count restarts differently, so on several this is left as torch has it
        store = PrefixStore(os.environ["TORCHELASTIC_RESTART_COUNT"], store)
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=limit)
    yield
    distributed.destroy_process_group()  # after a fault the others may never come to this


def require_gpus() -> None:
    """Raise Missing where this machine has not a GPU for each of its processes."""
    here, gpus = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if together() and here > gpus:
        raise Missing(f"{here} processes of this machine share {gpus} GPUs; valid: {gpus} or fewer")


def lost(error: BaseException | None) -> bool:
    """Whether ``error``, or what it came from, says no more than that another process is gone.

    NCCL has a class of errors for it, gloo names its own files.
    """
    while error is not None:
        if isinstance(error, distributed.DistError) or "gloo/" in str(error):
            return True
        error = error.__cause__
    return False


def agreed(ask: Callable[[], T]) -> T:
    """What the first process is told when it asks, on all.

    What it is told of an error it raises, and the others raise PeerLost: it has said why.
    """
    if not together():
        return ask()
    said: list[Any] = [None]
    try:
        if first():
            said = [(ask(), "")]
    except Exception as error:
        distributed.broadcast_object_list([(None, f"{type(error).__name__}: {error}")])
        raise
    distributed.broadcast_object_list(said)
    value, fault = said[0]
    if fault:
        raise PeerLost(f"the first of {world()} processes failed: {fault}")
    answer: T = value
    return answer


def shared(tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The first process's tensors by name, on all, bit for bit; those of a GPU on each's own."""
    if not together():
        return tensors
    kinds = {n: (t.dtype, tuple(t.shape), t.device.type) for n, t in tensors.items()}
    found = {}
    for name, (dtype, shape, kind) in agreed(lambda: kinds).items():
        place = device if kind == device.type else torch.device("cpu")
        given = tensors[name] if first() else torch.empty(shape, dtype=dtype, device=place)
        given = given.contiguous()
        distributed.broadcast(given.view(torch.uint8) if dtype == torch.bool else given, 0)
        found[name] = given
    return found


def require_same(what: str, mine: str) -> None:
    """Raise RunFailed on every process where they do not all say the same of ``what``."""
    if not together():
        return
    said: list[Any] = [None] * world()
    distributed.all_gather_object(said, mine)
    if len(set(said)) > 1:
        listed = "; ".join(f"process {rank}: {text}" for rank, text in enumerate(said))
        raise RunFailed(f"{what} differ between processes ({listed}): no number of theirs counts")


def summed(tensor: Tensor) -> Tensor:
    """The sum over all processes, in place, in one order on all: the same bits everywhere."""
    if together():
        distributed.all_reduce(tensor)
    return tensor


def reducing(model: nn.Module, device: torch.device) -> nn.Module:
    """The network to train through: its gradients become the mean over the processes'.

    Buffers are each process's own in training; those of the first count (see same_buffers).
    """
    if not together():
        return model
    ids = [torch.cuda.current_device()] if device.type == "cuda" else None
    with warnings.catch_warnings():  # its newer name is none of torch 2.10
        warnings.filterwarnings("ignore", ".*broadcast_buffers", FutureWarning)
        # DDP orders its buckets anew after the first step of a process, so that a resumed one would
        # sum in another order; where it looks for unused parameters it does not
        same = device.type == "cpu"
        return DistributedDataParallel(
            model, device_ids=ids, broadcast_buffers=False, find_unused_parameters=same
        )


def unreduced(network: nn.Module) -> AbstractContextManager[None]:
    """Inside, gradients add up on each process alone: the parts of a batch before its last."""
    if isinstance(network, DistributedDataParallel):
        return network.no_sync()
    return nullcontext()


def same_buffers(model: nn.Module) -> None:
    """Give all processes the first's running statistics, so that they evaluate one network."""
    if together():
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)
