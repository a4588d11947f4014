"""Numerics by name: "portable" gives the same bits on every x86-64 machine, "fp32" is plain."""

import os

import torch

from resparse.errors import UsageError

# Read once, when torch is imported: a process must be started with them.
PORTABLE_ENV = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "default",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
PRECISIONS = ("portable", "fp32")


def enter(precision: str) -> None:
    """Set this process up; raises UsageError where portable numerics are no longer possible."""
    if precision == "portable":
        wrong = [name for name, value in PORTABLE_ENV.items() if os.environ.get(name) != value]
        if wrong or torch.backends.cpu.get_cpu_capability() != "DEFAULT":
            raise UsageError(
                f"portable numerics need {', '.join(f'{k}={v}' for k, v in PORTABLE_ENV.items())}"
                " set before Python starts"
            )
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
        torch.backends.nnpack.set_flags(False)  # type: ignore[no-untyped-call]
        torch.use_deterministic_algorithms(True)
        # filling fresh memory costs 30 % of a step; the kernels used here write all of theirs
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    elif precision == "fp32":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    else:
        raise UsageError(f"unknown precision {precision!r}; valid: {', '.join(PRECISIONS)}")
    # sums have one order whatever the number of cores, and runs beside each other do not wait for
    # each other's threads, which makes them ten times slower
    torch.set_num_threads(1)


def determinism(precision: str, device: str) -> str:
    """What a repetition on the same machine gives: bitwise, or seeded (same draws, other bits)."""
    return "bitwise" if device == "cpu" or precision == "portable" else "seeded"
