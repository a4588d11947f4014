"""One run in several processes of this machine: torchrun starts them, and each enters here."""

import dataclasses
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from resparse.errors import DiskFull, PeerLost, Requeue
from resparse.files import read_json, write_json
from resparse.how import How
from resparse.record import Run
from resparse.stopping import handling

STOPS_S = 30.0  # that processes are given to finish their step, as torchrun gives them
RESTARTS = 3  # of all processes, where one dies or is silent: they continue from the checkpoint


def main(
    config: dict[str, Any],
    root: str,
    data_root: str | None,
    how: How,
    provenance: dict[str, Any],
    code: str,
) -> str:
    """Like worker.main, by ``how.world`` processes: empty, or why the run failed.

    What torchrun and they print goes to torchrun.log in the run's folder.
    """
    log = Path(root) / Run.from_config(config).key / "torchrun.log"
    job = {"config": config, "root": root, "data_root": data_root, "how": dataclasses.asdict(how)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        write_json(path, job | {"provenance": provenance, "code": code})
        torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
        sizes = (f"--nproc-per-node={how.world}", f"--max-restarts={RESTARTS}")
        command = [*torchrun, *sizes, "-m", "resparse.group", str(path)]
        stopped: list[int] = []
        started: list[subprocess.Popen[bytes]] = []

        def stop(number: int, frame: object) -> None:
            stopped.append(number)
            for processes in started:
                processes.terminate()  # it hands SIGTERM on to them, and knows no SIGUSR1

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's, which says SIGTERM
        log.parent.mkdir(parents=True, exist_ok=True)
        with handling(stop), log.open("ab") as file:
            processes = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
            started.append(processes)
            if stopped:
                processes.terminate()
            exited = processes.wait()
        said = _said(path)
        until = time.monotonic() + STOPS_S
        while stopped and said is None and exited and time.monotonic() < until:
            time.sleep(0.1)  # told twice, by Slurm and from here, torchrun ends before they do
            said = _said(path)
    if stopped and said is None and exited:
        raise Requeue("stopped before it wrote a checkpoint: it continues from the one before")
    if said is not None:
        for error in (Requeue, DiskFull):
            if said["code"] == error.exit_code:
                raise error(said["why"])
        return str(said["why"])
    if exited:
        return (
            f"one of its {how.world} processes died, or was silent for {how.timeout_s:g} s, "
            f"{RESTARTS} restarts included (torchrun's exit code is {exited}, its words: {log})"
        )
    return ""


def _said(path: Path) -> Any:
    said = path.with_name("said.json")
    return read_json(said) if said.is_file() else None


def _say(path: Path, code: int, why: str) -> None:
    write_json(path.with_name("said.json"), {"code": code, "why": why})


def enter(path: Path) -> int:
    """What each process does: the job at ``path``; returns its exit code.

    A process that fails writes why, so that a restart fails at once; one that lost another, which
    was killed or hangs, writes nothing: the restart continues.
    """
    if _said(path) is not None:
        return 1
    from resparse import distributed, forking, worker

    forking.stdout_to_stderr()
    job = read_json(path)
    how = How(**job.pop("how"))
    try:
        with distributed.joined(how.timeout_s):
            why = worker.main(how=how, **job)
    except Requeue as stopped:
        if distributed.first():
            _say(path, Requeue.exit_code, str(stopped))
        return 0
    except DiskFull as full:
        _say(path, DiskFull.exit_code, str(full))
        return 1
    except PeerLost as lost:
        print(f"resparse: {lost}", file=sys.stderr)
        return 1
    if why:
        _say(path, 1, why)
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(enter(Path(sys.argv[1])))
