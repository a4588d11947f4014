"""The command line: a command's name to its module, and errors to exit codes."""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from resparse.commands import COMMANDS
from resparse.errors import ResparseError, UsageError

ONCE = "the command once, with --gpus N where it trains"


class Parser(argparse.ArgumentParser):
    """Usage errors are one sentence and exit code 5."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser() -> Parser:
    """All commands and their options."""
    top = Parser(prog="resparse", description="Does what papers say of sparse training hold?")
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name, module in COMMANDS.items():
        made = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example: {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(made)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one sentence on stderr and an exit code."""
    try:
        given = parser().parse_args(arguments)
        if given.command != "run" and "TORCHELASTIC_RUN_ID" in os.environ:
            raise UsageError(f"{given.command} under torchrun; valid: run, or {ONCE}")
        result: int = COMMANDS[given.command].execute(given)
        return result
    except ResparseError as error:
        print(f"resparse: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("resparse: interrupted; repeat the command to continue", file=sys.stderr)
        return 130


def entry() -> NoReturn:
    """Console script; quiet where the reader of a pipe (head, less) has seen enough."""
    gc.set_threshold(100_000)  # imports make a million objects that stay: a tenth of a start
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        code = 128 + signal.SIGPIPE
    sys.exit(code)


if __name__ == "__main__":
    entry()
