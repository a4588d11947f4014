"""A run that a process has taken on: who is told of it, and the record that it leaves."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from resparse import distributed, precision
from resparse.data import Data
from resparse.heartbeat import Heartbeat
from resparse.history import read_events
from resparse.how import How
from resparse.record import Record, Run, RunFolder
from resparse.tensorboard import Board
from resparse.trainer import Trained


@dataclass(eq=False)
class Attempt:
    """A run that this process holds the lock of: who is told of it, and its record in the end."""

    run: Run
    folder: RunFolder
    how: How
    code: str  # see train_and_commit
    images: Data
    provenance: dict[str, Any]
    began: float  # on the monotonic clock

    def __post_init__(self) -> None:
        """A heartbeat, and event files where they are asked for."""
        self.beat = Heartbeat(self.folder.path, self.run.recipe.steps)
        self.board = Board(self.folder.path) if self.how.tensorboard else None

    def begin(self) -> None:
        """The manifest; checkpoints of other code go aside."""
        self.folder.begin(self.run.config, self.code)

    def commit(self, trained: Trained) -> Record:
        """Write the record of what ``trained`` says, then the marker."""
        run, how = self.run, self.how
        loader = {"loader": type(self.images).__name__}
        record = Record(
            key=run.key,
            config=run.config,
            fingerprint=self.code,
            status=trained.status,
            reason=trained.reason,
            outcome=trained.outcome,
            curves=trained.curves,
            provenance=self.provenance
            | {
                "wall_s": round(time.monotonic() - self.began, 3),
                **how.facts(),
                **precision.facts(run.precision, how.device),
                "engine": trained.engine,
                **_begun_otherwise(self.folder, how),
                "world_size": how.world,
                "global_batch": run.recipe.batch_size,  # of all processes, at each step
                "lr": run.recipe.lr,  # for that batch
                "device": torch.cuda.get_device_name() if how.on_gpu else how.device,
                "cpu_capability": torch.backends.cpu.get_cpu_capability(),
                "data": getattr(self.images, "provenance", loader),
            },
        )
        self.folder.event(event="finished", status=trained.status)
        distributed.agreed(lambda: self.folder.commit(record, trained.files))
        self.beat.stop()
        if self.board is not None:  # once committed: never written twice
            self.board.end(record)
        return record


def _begun_otherwise(folder: RunFolder, how: How) -> dict[str, Any]:
    """How the attempts before were computed where it was another way: no machine repeats that."""
    facts, usual, events = how.facts(), How().facts(), read_events(folder.path)[0]
    starts = [event for event in events if event["event"] == "started"]
    others = [s for s in starts if any(s.get(k, usual[k]) != v for k, v in facts.items())]
    if not others:
        return {}
    begun = [{name: start.get(name, usual[name]) for name in facts} for start in others]
    return {"determinism": "none", "begun_otherwise": begun}
