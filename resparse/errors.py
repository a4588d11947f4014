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


class Missing(ResparseError):
    """Something needed is not here: data, a GPU, disk space, a writable folder."""

    exit_code = 4


class UsageError(ResparseError):
    """A value that is not valid: unknown name, impossible number, unknown key."""

    exit_code = 5


SEVERITY = (5, 4, 2, 1, 3, 0)  # of several exit codes, the first in this order is the command's


def worst(codes: list[int]) -> int:
    """The exit code to report for several.

    >>> worst([0, 1, 4]), worst([])
    (4, 0)
    """
    return min(codes, key=SEVERITY.index, default=0)
