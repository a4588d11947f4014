"""TensorBoard event files of a run in training: curves to look at, and nothing that counts."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from resparse.files import writing
from resparse.masks import MaskDict
from resparse.record import Record
from resparse.training import Training

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"  # in the run's; neither committed nor hashed
NAMED = "events.out.tfevents"  # its files: NAMED.TIME.HOST.PROCESS.COUNT


class Board:
    """Shown a run after each step (see trainer.train), writes what is new at "steps done".

    Epochs give the mean training loss, the learning rate, top-1 in percent, nnz, density and R_s;
    mask updates the weights that they dropped and grew. All is flushed before the next checkpoint,
    and a run that resumes hides what came after the checkpoint it starts from: no step is missing,
    and none is there twice. That is why a full disk ends the training here: what could not be
    written is written when the command is repeated, and would be missing for good otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FOLDER
        self.writer: SummaryWriter | None = None
        self.masks: MaskDict = {}
        self.installed, self.epochs = 0, 0

    def __call__(self, t: Training) -> None:
        """Write what ``t`` has found since the last call; the first call opens a file."""
        if self.writer is None:
            self._open(t.progress.step)
        else:
            if t.progress.installed != self.installed:
                self._write(t.progress.step, moved(self.masks, t.masks.mask))
            if len(t.progress.train_loss) != self.epochs:
                self._write(t.progress.step, epoch_of(t))
        if t.progress.installed != self.installed or not self.masks:
            self.masks, self.installed = dict(t.masks.mask), t.progress.installed
        self.epochs = len(t.progress.train_loss)

    def end(self, record: Record) -> None:
        """Write the top-1 that is tested once, at the end; ``record`` is committed."""
        if not record.run.test_every_epoch:
            self._write(record.run.recipe.steps, {"top1/test": record.outcome["top1_last"]})
        if self.writer is not None:
            with writing(self.path):
                self.writer.close()

    def _open(self, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # a second: where it is asked for

        with writing(self.path):
            make_last(self.path)
            self.writer = SummaryWriter(str(self.path), purge_step=step + 1)

    def _write(self, step: int, values: Mapping[str, float]) -> None:
        if self.writer is not None:
            with writing(self.path):
                for name, value in values.items():
                    self.writer.add_scalar(name, value, step)
                self.writer.flush()


def make_last(folder: Path) -> None:
    """See to it that a file which is begun now is read after those that are here.

    They are read in the order of their names, which begin with the time in seconds: where the clock
    was set back since, they get the numbers 1, 2, ... in place of their times.
    """
    files = sorted(folder.glob(f"{NAMED}.*"))
    if not files or int(files[-1].name.split(".")[3]) < int(time.time()):
        return
    for number, file in enumerate(files, start=1):
        rest = file.name.split(".", 4)[4]
        file.rename(folder / f"{NAMED}.{number:010d}.{rest}")


def moved(before: MaskDict, now: MaskDict) -> dict[str, float]:
    """Weights that an update dropped and grew, and those dropped of each layer."""
    dropped = {name: float((old & ~now[name]).sum()) for name, old in before.items()}
    grown = sum(float((now[name] & ~old).sum()) for name, old in before.items())
    layers = {f"dropped/{name}": count for name, count in dropped.items()}
    return {"masks/dropped": sum(dropped.values()), "masks/grown": grown, **layers}


def epoch_of(t: Training) -> dict[str, float]:
    """What there is to see at the end of an epoch."""
    p, nnz = t.progress, sum(t.masks.nnz().values())
    found = {"loss/train": p.train_loss[-1], "lr": float(t.optimizer.param_groups[0]["lr"])}
    for of, top1 in (("val", p.val_top1), ("test", p.test_top1)):
        found |= {f"top1/{of}": top1[-1]} if top1 else {}
    maskable = sum(t.method.sizes.values())
    return found | {
        "masks/nnz": float(nnz),
        "masks/density": nnz / maskable,
        "masks/R_s": t.masks.explored(),
    }
