"""How a run is computed: its time, its memory, and its last bits; never what is trained."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from resparse.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class How:
    """What a run's command says beside its configuration; kept in the record's provenance."""

    device: str = "cpu"
    threads: int = 1
    accumulate: int = 1  # parts of a step's batch; their gradients add up to the whole batch's
    channels_last: bool = False  # convolutions in NHWC, as GPUs with half precision want them
    compile: bool = False  # by torch.compile
    crossover: float | None = None  # density that layers are sparse below; None: measured here
    replicates: int = 1  # runs of a small model that one process trains at once; see replicates
    world: int = 1  # processes that share each batch, a GPU each; see distributed
    # no facts of a run: event files beside it, the least time between checkpoints inside an epoch,
    # and how long several processes wait for a silent one
    tensorboard: bool = field(default=False, compare=False)
    checkpoint_minutes: float = field(default=5.0, compare=False)
    timeout_s: float = field(default=600.0, compare=False)

    def require(self, precision: str, batch_size: int) -> None:
        """Raise UsageError naming what does not go with the run's precision or batch."""
        if self.threads < 1:
            raise UsageError(f"threads = {self.threads}; valid: 1 or more")
        if self.accumulate < 1 or batch_size % self.accumulate:
            raise UsageError(
                f"accumulate = {self.accumulate} parts of batches of {batch_size}; valid: a divisor"
            )
        if not 1 <= self.world * self.accumulate <= batch_size:
            raise UsageError(
                f"batches of {batch_size} in {self.accumulate} parts on each of {self.world} "
                "processes; valid: an image or more in each"
            )
        for name in ("checkpoint_minutes", "timeout_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name} = {getattr(self, name)}; valid: above 0")
        if self.crossover is not None and not 0 <= self.crossover <= 1:
            raise UsageError(f"crossover = {self.crossover}; valid: a density, 0 to 1")
        if not self.on_gpu and (self.channels_last or self.compile):
            what = "channels_last" if self.channels_last else "compile"
            raise UsageError(
                f"{what} on the CPU; valid: on a GPU (torch's convolutions of few channels in that "
                "order of memory write past their memory on CPUs)"
            )
        if precision == "portable" and self != How():
            said = {k: v for k, v in self.facts().items() if v != getattr(How(), k)}
            given = ", ".join(f"{name} = {value}" for name, value in said.items())
            raise UsageError(f"{given} in portable numerics; valid: none of these, or another run")

        self._require_replicates(precision)

    def _require_replicates(self, precision: str) -> None:
        """Raise UsageError naming what several runs in one process do not go with."""
        if self.replicates < 1:
            raise UsageError(f"replicates = {self.replicates}; valid: 1 or more")
        if self.replicates == 1:
            return
        if precision == "fp16":
            raise UsageError(
                f"replicates = {self.replicates} in fp16, where each run's gradients have a scale "
                "of their own; valid: another precision, or replicates = 1"
            )
        for name in ("world", "accumulate", "channels_last", "compile"):
            if (value := getattr(self, name)) != (valid := getattr(How(), name)):
                raise UsageError(
                    f"replicates = {self.replicates} with {name} = {value}; valid: {name} = "
                    f"{valid}, or replicates = 1"
                )

    @property
    def on_gpu(self) -> bool:
        """Whether its device is a GPU."""
        return self.device.startswith("cuda")

    def facts(self) -> dict[str, Any]:
        """By name, all that the numbers or the time could depend on."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.compare}
