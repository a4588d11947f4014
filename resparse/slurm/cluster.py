"""What a command line says of a cluster, as submitit takes it."""

import re
from dataclasses import dataclass
from typing import Any

from resparse.errors import UsageError
from resparse.how import How

OWN = (  # options of sbatch that are set here
    *("array", "dependency", "error", "gpus_per_node", "job_name", "no_requeue", "open_mode"),
    *("output", "partition", "requeue", "signal", "time"),
)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What the command line says of the cluster; ``sbatch``: further options, KEY=VALUE or KEY."""

    partition: str | None = None
    gpus_per_node: int | None = None  # default: those of a run
    time_min: int = 240  # then a run writes a checkpoint and its job is requeued
    sbatch: tuple[str, ...] = ()

    def parameters(self, how: How) -> dict[str, Any]:
        """Submitit's; raises UsageError naming what is no option of sbatch or is set here."""
        if how.replicates > 1:
            raise UsageError(
                f"--replicates {how.replicates} with --slurm, whose jobs train a run each; valid: "
                "without one of the two"
            )
        if how.on_gpu and (self.gpus_per_node or how.world) < how.world:
            raise UsageError(
                f"--gpus-per-node {self.gpus_per_node} with --gpus {how.world}, the GPUs of a run; "
                f"valid: {how.world} or more"
            )
        # USR1 ahead of the time limit, in place of submitit's USR2, which a training does not know
        added: dict[str, Any] = {"requeue": True, "signal": f"USR1@{min(120, 15 * self.time_min)}"}
        for text in self.sbatch:
            key, equals, value = text.partition("=")
            name = key.replace("-", "_")
            if not re.fullmatch("[a-z]+(_[a-z]+)*", name) or name in OWN or (equals and not value):
                raise UsageError(
                    f"--sbatch {text}; valid: a long option of sbatch, like account=mine or "
                    f"exclusive, but {', '.join(OWN).replace('_', '-')}"
                )
            added[name] = value if equals else True
        return {
            "job_name": "resparse",
            "time": self.time_min,
            "partition": self.partition,
            "gpus_per_node": self.gpus_per_node or (how.world if how.on_gpu else None),
            "cpus_per_task": how.threads * how.world,
            "stderr_to_stdout": True,
            "setup": ["export SUBMITIT_PREEMPT_SIGNAL=USR1"],
            "additional_parameters": added,
        }
