"""Errors meant for people, each with the exit code of the command that meets it."""


class ResparseError(Exception):
    """One sentence: what, where, what is valid, what to do."""

    exit_code = 2


class VerdictFailed(ResparseError):
    """A verdict failed: a number is not what it should be."""

    exit_code = 1


class RunFailed(ResparseError):
    """A run crashed or its record does not verify."""

    exit_code = 2


class PeerLost(RunFailed):
    """Another process of the same run is gone or silent; this one has nothing to say of it."""


class Corrupt(ResparseError):
    """A dataset or a prepared file is not what it must be."""

    exit_code = 2


class Missing(ResparseError):
    """Something needed is not here: data, a GPU, disk space, a writable folder."""

    exit_code = 4


class DiskFull(Missing):
    """There is no space to write to, for any run: what was saved is kept."""


class UsageError(ResparseError):
    """A value that is not valid: unknown name, impossible number, unknown key."""

    exit_code = 5


class ContractBroken(UsageError):
    """A method breaks its contract with the trainer: what is wrong and what is valid, and where.

    ``step`` is 0-based, -1 before training; what does not apply is None.
    """

    def __init__(
        self,
        what: str,
        *,
        step: int | None = None,
        layer: str | None = None,
        method: str | None = None,
    ) -> None:
        self.what, self.step, self.layer, self.method = what, step, layer, method
        parts = [] if method is None else [f"method {method}"]
        if step is not None:
            parts.append("before step 0" if step < 0 else f"step {step}")
        if layer is not None:
            parts.append(f"layer {layer}")
        super().__init__(f"{', '.join(parts)}: {what}" if parts else what)

    def of(self, method: str) -> "ContractBroken":
        """The same, with the method named."""
        return ContractBroken(self.what, step=self.step, layer=self.layer, method=method)


class Requeue(ResparseError):
    """Asked to stop, all of it saved: the same command continues."""

    exit_code = 75


SEVERITY = (5, 4, 2, 1, 3, 0)  # of several exit codes, the first in this order is the command's


def worst(codes: list[int]) -> int:
    """The exit code to report for several.

    >>> worst([0, 1, 4]), worst([])
    (4, 0)
    """
    return min(codes, key=SEVERITY.index, default=0)
