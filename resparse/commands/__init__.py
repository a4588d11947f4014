"""The commands by name: each is a module with SUMMARY, EXAMPLE, arguments(parser), execute(given).

Nothing heavy is imported before a command runs, so that --help answers at once.
"""

from types import ModuleType

from resparse.commands import (
    bench,
    claims,
    compare,
    costs,
    data,
    doctor,
    explain,
    flops,
    freeze,
    gc,
    importing,
    listing,
    protocols,
    regression,
    report,
    reproduce,
    run,
    status,
)

COMMANDS: dict[str, ModuleType] = {
    "reproduce": reproduce,
    "run": run,
    "report": report,
    "compare": compare,
    "claims": claims,
    "protocols": protocols,
    "costs": costs,
    "regression": regression,
    "flops": flops,
    "freeze": freeze,
    "data": data,
    "bench": bench,
    "import": importing,
    "status": status,
    "list": listing,
    "gc": gc,
    "explain": explain,
    "doctor": doctor,
}
