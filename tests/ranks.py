"""Several processes that train together, forked from the test: no imports are paid again."""

import json
from pathlib import Path

from torch import distributed
from torch.multiprocessing import start_processes

from resparse.errors import ResparseError


def process(rank, world, folder, work):
    """One of them: joins the others, and writes what ``work(rank)`` says or why it is refused."""
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    try:
        said = work(rank)
    except ResparseError as error:
        said = f"{type(error).__name__}: {error}"
    (folder / f"said-{rank}").write_text(json.dumps(said))
    distributed.destroy_process_group()


def together(world: int, folder: Path, work):
    """What each process says: ``work`` of its rank, JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    start_processes(process, (world, folder, work), nprocs=world, start_method="fork")
    return [json.loads((folder / f"said-{rank}").read_text()) for rank in range(world)]
