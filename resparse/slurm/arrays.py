"""Many runs on a cluster: arrays of Slurm jobs through submitit, each run submitted once.

What was submitted together lies in STORE/slurm/NUMBER/: which runs, submitit's files, the logs.
The queue names the script of each job, which lies there too: a job is known even where the
command was killed while it submitted.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from resparse.disk import require_room
from resparse.errors import Missing
from resparse.files import write_json
from resparse.how import How
from resparse.progress import named
from resparse.record import Run, RunFolder, RunStore
from resparse.slurm.cluster import Cluster
from resparse.slurm.job import Job, ask
from resparse.status.standing import read_or, reason_of

REQUEUES = 1000  # by the time limit; after each the run is further than before
BEGAN = "Starting with JobEnvironment"  # submitit, at each attempt
Queue = dict[str, tuple[str, str]]  # run key -> job, state


class _Batch(NamedTuple):
    """Runs that were submitted together."""

    path: Path
    keys: list[str]
    told: list[str]  # those whose end without a record was said

    @property
    def job(self) -> str:
        """The number of its job or array; empty where it was never submitted."""
        return next((p.name.split("_")[0] for p in self.path.glob("*_submission.sh")), "")

    def why(self, key: str, folder: Path) -> str:
        """Why the job of a run ended without a record, and where it says more."""
        index = f"_{self.keys.index(key)}" if len(self.keys) > 1 else ""
        log = self.path / f"{self.job}{index}_0_log.out"
        said = log.read_text(errors="replace").splitlines() if log.is_file() else []
        began = max((n for n, line in enumerate(said) if BEGAN in line), default=-1)
        said = [line for line in said[began + 1 :] if not line.startswith(("srun:", "submitit "))]
        slurm = [line for line in said if line.startswith("slurmstepd")]  # the time, the memory
        why = (slurm or said or ["its job ended without a word: cancelled, or its node lost"])[-1]
        failure = folder / "failure.json"
        return f"{reason_of(failure) if failure.is_file() else why} (log: {log})"

    def keep(self) -> None:
        """Write what only this command knows."""
        write_json(self.path / "runs.json", {"keys": self.keys, "told": self.told})


def run_all(
    runs: Sequence[Run],
    store: RunStore,
    *,
    data_root: Path | None,
    how: How,
    workers: int | None,
    cluster: Cluster,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Submit what is neither committed nor queued: run key -> why its job failed.

    ``runs`` come parents first; a child starts once its parent's array has ended. A failed run is
    named by one call and submitted again by the next. At most ``workers`` of an array run at once.
    Raises Missing where Slurm does not answer or refuses.
    """
    folder, parameters = store.root.resolve() / "slurm", cluster.parameters(how)
    parameters["array_parallelism"] = workers or max(1, len(runs))
    common = (str(store.root.resolve()), str(data_root or ""), how)
    with RunFolder(folder).lock(wait=True):
        batches = _batches(folder)
        queued = _queued(batches)
        left = [run for run in runs if not store.folder(run).committed]  # looked at second
        failed = _failed(left, store, batches, queued)
        new = [run for run in left if run.key not in failed and run.key not in queued]
        require_room(new, store, workers or len(new))
        while new:
            keys = {run.key for run in new}
            ready = [run for run in new if not run.parent or run.parent.key not in keys]
            number = max((int(batch.path.name) for batch in batches), default=0) + 1
            batches.append(_Batch(folder / str(number), [run.key for run in ready], []))
            queued |= _submit(ready, store, batches[-1], queued, common, parameters)
            new = [run for run in new if run not in ready]
    for run in left:
        if run.key in failed:
            say(f"failed: run {run.key}, {named(run)}: {failed[run.key]}")
    if left:
        states = Counter("failed" if r.key in failed else queued[r.key][1] for r in left)
        counted = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
        say(f"Slurm: {counted}; logs: {folder}; the same command collects, and repeats what failed")
    return failed


def _batches(folder: Path) -> list[_Batch]:
    """All that were submitted, oldest first."""
    paths = (path for path in folder.glob("*") if path.name.isdecimal())
    nothing: dict[str, list[str]] = {"keys": [], "told": []}
    return [
        _Batch(path, **read_or(path / "runs.json", nothing))
        for path in sorted(paths, key=lambda path: int(path.name))
    ]


def _queued(batches: Sequence[_Batch]) -> Queue:
    keys = {batch.path: batch.keys for batch in batches}
    found = {}
    for line in ask("squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r|%o"):
        job, state, reason, script = line.split("|", 3)
        if Path(script).parent in keys:
            index = int(job.partition("_")[2] or 0)
            reason = "" if reason == "None" else f" ({reason})"
            found[keys[Path(script).parent][index]] = (job, f"{state.lower()}{reason}")
    return found


def _failed(
    left: Sequence[Run], store: RunStore, batches: Sequence[_Batch], queued: Queue
) -> dict[str, str]:
    """Why runs whose job ended have no record, each told once; and why their children have none."""
    failed: dict[str, str] = {}
    for run in left:
        last = next((b for b in reversed(batches) if run.key in b.keys and b.job), None)
        if last and run.key not in queued and run.key not in last.told:
            failed[run.key] = last.why(run.key, store.folder(run).path)
            last.told.append(run.key)
            last.keep()
        elif run.parent and run.parent.key in failed:
            failed[run.key] = f"its parent {run.parent.key} failed"
    return failed


def _submit(
    runs: Sequence[Run],
    store: RunStore,
    batch: _Batch,
    queued: Queue,
    common: tuple[Any, ...],
    parameters: dict[str, Any],
) -> Queue:
    """Submit ``runs``, after the arrays that their parents are in."""
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    from resparse.precision import PORTABLE_ENV
    from resparse.provenance import provenance
    from resparse.worker import code_of

    parents = [queued[run.parent.key] for run in runs if run.parent and run.parent.key in queued]
    after = sorted({job.partition("_")[0] for job, _ in parents})
    outside = {name: value for name, value in os.environ.items() if name.startswith("RESPARSE_")}
    facts, arguments = provenance(), []
    for run in runs:
        (store.folder(run).path / "failure.json").unlink(missing_ok=True)  # an earlier attempt's
        environment = outside | (PORTABLE_ENV if run.precision == "portable" else {})
        arguments.append((run.key, environment, run.config, *common, facts, code_of(run)))
    batch.path.mkdir()
    batch.keep()  # before there is a job
    try:
        executor = SlurmExecutor(batch.path, max_num_timeout=REQUEUES)
        dependency = f"afterany:{':'.join(after)}" if after else None
        executor.update_parameters(**parameters, dependency=dependency)
        jobs = executor.map_array(Job(), *zip(*arguments, strict=True))
    except (FailedJobError, FailedSubmissionError) as error:
        shutil.rmtree(batch.path)
        raise Missing(f"Slurm refuses the jobs: {' '.join(str(error).split())}") from error
    return {run.key: (job.job_id, "submitted") for run, job in zip(runs, jobs, strict=True)}
