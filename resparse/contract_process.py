"""The contract suite on one method, in a process of its own that may hang or die without harm."""

import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from resparse import forking
from resparse.blame import frames_now, layer_among
from resparse.errors import ContractBroken, ResparseError, UsageError

LIMIT_S = 120.0  # the whole suite takes seconds on a toy network
GRACE_S = 10.0  # for a process that cannot even answer the alarm


def check_apart(
    reference: str,
    runs: Path,
    *,
    texts: Sequence[str] = (),
    portable: bool = True,
    limit_s: float = LIMIT_S,
) -> list[str]:
    """Names of the checks that the method passed, its fields set as ``texts`` say (settings).

    ``portable``: whether this command trains in portable numerics (see forking). Raises
    ContractBroken for the first it does not, and where it has not returned after
    ``limit_s`` seconds, with the check and the step it was at.
    """
    context = forking.context("portable" if portable else "fp32")
    news: Connection[Any, Any]
    news, end = context.Pipe(duplex=False)
    process = context.Process(
        target=_check, args=(end, reference, str(runs), tuple(texts), limit_s)
    )
    forking.start(process)
    end.close()
    name = Path(reference).stem
    at = "while its file was read"
    try:
        while news.poll(limit_s + GRACE_S):
            kind, *what = news.recv()
            if kind == "at":
                at = f"in the check that {what[0]}" + (f", step {what[1]}" if what[1] >= 0 else "")
            elif kind == "passed":
                return list(what[0])
            elif kind == "late":
                at += f", layer {what[0]}" if what[0] else ""
                break
            else:
                raise (ContractBroken if kind == "broken" else UsageError)(what[0])
    except EOFError:
        process.join()
        raise ContractBroken(
            f"method {name}: its process ended with exit code {process.exitcode} {at}"
        ) from None
    finally:
        process.kill()
        process.join()
    raise ContractBroken(
        f"method {name} did not return within {limit_s:.0f} s, {at}; valid: calls that end"
    )


def _check(
    end: "Connection[Any, Any]", reference: str, runs: str, texts: Sequence[str], limit_s: float
) -> None:
    from resparse import contract, registry
    from resparse.contract.toy import SHAPES
    from resparse.resolve import resolve_method
    from resparse.settings import settings

    def ring(number: int, frame: FrameType | None) -> None:
        """Say at which layer it hangs; the parent then ends this process."""
        end.send(("late", layer_among(frames_now(frame), SHAPES)))

    forking.stdout_to_stderr()
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        name, _ = resolve_method(reference, Path(runs))
        cls = registry.load(name)
        passed = contract.check(
            cls,
            settings(name, texts),
            name=name,
            progress=lambda check, step: end.send(("at", check, step)),
        )
        end.send(("passed", passed))
    except ContractBroken as error:
        end.send(("broken", str(error)))
    except ResparseError as error:
        end.send(("usage", str(error)))
