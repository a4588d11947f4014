"""What a job of Slurm does: one run in a process of its own, requeued where it is told to stop."""

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.context import SpawnProcess
from typing import Any

from resparse.errors import DiskFull, Missing, Requeue
from resparse.how import How

# exit codes of a training that was told to stop, the latter two before it could listen
STOPPED = (Requeue.exit_code, -signal.SIGTERM, -signal.SIGUSR1)


class Job:
    """The function that submitit calls in a job, and how the job is stopped and goes on."""

    process: SpawnProcess | None = None  # once it is started

    def __call__(self, key: str, environment: dict[str, str], *arguments: Any) -> None:
        """Train the run ``key``; ``arguments`` are worker.main's.

        Ahead of the time limit submitit calls ``checkpoint`` and requeues. After a SIGTERM it is
        done here, unless the job is being cancelled, or requeued by Slurm itself.
        """
        from submitit import JobEnvironment

        job = JobEnvironment().job_id
        subprocess.run(["scontrol", "update", f"JobId={job}", f"JobName={key}"], check=False)
        os.environ.update(environment)  # torch reads it once, in the new process
        process = multiprocessing.get_context("spawn").Process(target=_train, args=arguments)
        process.start()
        self.process = process
        process.join()
        code = process.exitcode
        if code in STOPPED and ask("squeue", "-h", f"--jobs={job}", "--format=%T") == ["RUNNING"]:
            ask("scontrol", "requeue", job)
        if code:
            sys.exit(f"the process of run {key} ended with exit code {code}")

    def checkpoint(self, *arguments: Any) -> Any:
        """Have the training finish its step and write a checkpoint, from which it goes on.

        Called by a signal, whatever the job's own process is at.
        """
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            self.process.terminate()
            self.process.join()
        return DelayedSubmission(Job(), *arguments)


def _train(*arguments: Any) -> None:
    """A run in a process of its own; ``arguments`` are worker.main's."""
    # Slurm sends it to all processes: torchrun, which knows it not, is started to ignore it
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    from resparse import group, worker

    how: How = arguments[3]
    try:
        why = group.main(*arguments) if how.world > 1 else worker.main(*arguments)
    except DiskFull as full:
        print(full, file=sys.stderr)
        raise SystemExit(1) from full
    except Requeue as stopped:
        print(stopped, file=sys.stderr)
        raise SystemExit(Requeue.exit_code) from stopped
    if why:
        print(why, file=sys.stderr)
        raise SystemExit(1)


def ask(*command: str) -> list[str]:
    """The lines that a program of Slurm prints; raises Missing where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        raise Missing(f"no {command[0]} here; valid: --slurm on a machine of a cluster") from error
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise Missing(f"{command[0]} fails ({said}): repeat the command when it works") from error
    return done.stdout.splitlines()
