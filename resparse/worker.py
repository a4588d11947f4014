"""One run in a process of its own: from configuration to committed record."""

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from resparse import data, distributed, models, precision, registry, workloads
from resparse.attempt import Attempt
from resparse.beginning import parent_of
from resparse.data import imagenet
from resparse.data.memory import InMemory
from resparse.distributions import layer_counts
from resparse.errors import DiskFull, PeerLost, Requeue, ResparseError, RunFailed
from resparse.exact import network
from resparse.files import file_sha256, sha256, write_json
from resparse.fingerprint import fingerprint
from resparse.how import How
from resparse.outside import copy_of
from resparse.record import Record, Run, RunFolder, RunStore
from resparse.stopping import listening
from resparse.trainer import train, unseen, untold

_RULES = (
    "selection",
    "masks",
    "storage",
    "views",
    "rules",
    "families",
    "schedules",
    "distributions",
    "exploration",
    "flops",
)
_COMPILED = ("engine/draw", "engine/masking", "engine/threads")  # of the masked engine too
_PARTS = ("registry", "method", "seeds", "uniform", *_COMPILED)
_LOOP = (
    *("trainer", "training", "beginning", "resuming", "watch", "how", "outcome", "precision"),
    *("distributed", "consensus", "stack", "replicates"),
)
_ENGINE = sorted((Path(__file__).resolve().parent / "engine").glob("*.py"))


def know(run: Run, root: Path) -> None:
    """Know the method and the workload of ``run`` where they come from outside, by their copies."""
    if run.method_sha256:
        file = copy_of(root, "methods", run.method, run.method_sha256)
        _require_copy(file, run.method_sha256)
        registry.add(run.method, file)
    if run.workload_sha256:
        file = copy_of(root, "workloads", run.model, run.workload_sha256)
        _require_copy(file, run.workload_sha256)
        workloads.add(run.model, file, run.workload_sha256)


def _require_copy(file: Path, expected: str) -> None:
    if not file.is_file() or file_sha256(file) != expected:
        raise RunFailed(f"{file} is not the file that the run names (changed or missing)")


def code_of(run: Run, root: Path | None = None) -> str:
    """Fingerprint of the code that decides a run's numbers, its own method, data and model.

    A method from outside is the one that is loaded, or with ``root`` its copy in that store.
    """
    files = [*shared_files(), data.source(run.dataset)]
    files += imagenet.files() if run.dataset == "imagenet" else []
    files += _ENGINE if run.engine != "masked" else []
    files += [models.source(run.model), _method_file(run, root)]
    # a child is the work of its parent's code too
    above = code_of(run.parent, root) if run.parent else ""
    return sha256(f"{fingerprint(files)}{above}")[:16]


@cache
def shared_files() -> tuple[Path, ...]:
    """Whose code decides the numbers of every run."""
    here = Path(__file__).resolve().parent
    files = [here / f"{part}.py" for part in (*_RULES, *_PARTS, *_LOOP)]
    files += [here / "data" / f"{part}.py" for part in ("__init__", "memory", "order")]
    return (*files, here / "models" / "__init__.py")


def _method_file(run: Run, root: Path | None) -> Path:
    if root is not None and run.method_sha256:
        return copy_of(root, "methods", run.method, run.method_sha256)
    return registry.source(run.method)


def train_and_commit(
    run: Run,
    store: RunStore,
    *,
    data_root: Path | None,
    how: How,
    provenance: dict[str, Any],
    code: str,
    tell: Callable[[int], None] = untold,
    **options: Any,
) -> Record:
    """Train ``run`` in this process and commit its record; ``options`` go to trainer.train.

    ``code`` is the fingerprint when the command began. Raises RunFailed where the code is another
    before or after: what was loaded in between would be a mixture. Raises Requeue where SIGTERM or
    SIGUSR1 came while it trained: a checkpoint holds all of it.

    Where several processes train it together the first holds the run and writes of it, and the
    others return the record that it commits.
    """
    how.require(run.precision, run.recipe.batch_size)
    precision.enter(run.precision, how.threads)
    folder = store.folder(run)
    # a killed command's worker may still be at this run; several processes do not wait for it, for
    # they wait for each other no longer than their timeout
    alone = not distributed.together()
    with folder.lock(wait=alone) if distributed.first() else contextlib.nullcontext():
        if distributed.agreed(lambda: folder.committed):
            return folder.record()
        began = time.monotonic()
        require_code(run, code)
        images = data.load(run.dataset, data_root)
        if isinstance(images, InMemory):
            images.to(torch.device(how.device))
        shapes, _, _ = network(run.model, run.dataset)
        counts = layer_counts(run.distribution, shapes, run.density)
        options |= {"parent": parent_of(run, store), "how": how}
        if not distributed.first():
            distributed.agreed(lambda: None)  # the folder is ready
            with listening() as asked:
                train(run, images, counts, Onlooker(folder.path), asked=asked, **options)
            distributed.agreed(lambda: None)  # it is committed
            return folder.record()
        attempt = Attempt(run, folder, how, code, images, provenance, began)

        def told(step: int) -> None:
            tell(step)
            attempt.beat(step)

        distributed.agreed(attempt.begin)
        folder.event(event="started", pid=os.getpid(), **how.facts())
        with listening() as asked:
            options |= {"asked": asked, "tell": told, "see": attempt.board or unseen}
            trained = train(run, images, counts, folder, **options)
        require_code(run, code)
        return attempt.commit(trained)


class Onlooker(RunFolder):
    """The folder of a run that another process writes: events are its own."""

    def event(self, **values: object) -> None:
        """Nothing is written."""


def require_code(run: Run, code: str) -> None:
    """Raise RunFailed where the code of ``run`` is another now than ``code``."""
    if code_of(run) != code:
        raise RunFailed("code it uses was edited while the command ran: repeat the command")


def main(
    config: dict[str, Any],
    root: str,
    data_root: str | None,
    how: How,
    provenance: dict[str, Any],
    code: str,
    tell: Callable[[int], None] = untold,
) -> str:
    """Entry of the process: empty, or why the run failed; the trace is written beside it.

    Raises DiskFull, which holds for every run.

    ``tell`` hears how many steps are done, once training begins. Raises Requeue where the run was
    asked to stop, PeerLost where another of its processes is gone.
    """
    if not distributed.launched():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    run, store = Run.from_config(config), RunStore(Path(root))
    if distributed.first():
        failure(run, store).unlink(missing_ok=True)  # an earlier attempt's
    done = [-1]

    def told(step: int) -> None:
        done[0] = step
        tell(step)

    try:
        know(run, store.root)
        train_and_commit(
            run,
            store,
            data_root=Path(data_root) if data_root else None,
            how=how,
            provenance=provenance,
            code=code,
            tell=told,
        )
    except (Requeue, PeerLost):
        raise
    except Exception as error:
        if distributed.lost(error):
            raise PeerLost(
                f"another process of run {run.key} is gone or silent: {error}"
            ) from error
        return noted(error, run, store, how, done[0])
    return ""


def failure(run: Run, store: RunStore) -> Path:
    """Where it stands why the last attempt failed."""
    return store.folder(run).path / "failure.json"


def noted(error: Exception, run: Run, store: RunStore, how: How, done: int) -> str:
    """Why a run failed, with the trace written beside it; raises DiskFull, which holds for all."""
    why = _said(error, run, how, done)
    with contextlib.suppress(ResparseError):  # a full disk has no room for the trace either
        write_json(failure(run, store), {"reason": why, "trace": traceback.format_exc()})
    if isinstance(error, DiskFull):
        raise error
    return why


def _said(error: Exception, run: Run, how: How, done: int) -> str:
    """Why a run failed, in one sentence."""
    memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if memory or "DefaultCPUAllocator" in str(error):  # of torch on a CPU: a RuntimeError
        batch, parts = run.recipe.batch_size, how.world * how.accumulate
        at = f"at step {done}" if done >= 0 else "before training"
        return (
            f"out of memory on {how.device} {at}, with batches of {batch} in {parts} parts; what "
            "was saved is kept. The batch size is never changed: compute it in more parts "
            f"(--accumulate), on more GPUs or on one with more memory ({error})"
        )
    name = "" if isinstance(error, ResparseError) else f"{type(error).__name__}: "
    return f"{name}{error}"
