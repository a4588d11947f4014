"""Lines of progress where there is no terminal: which run, of what, and how far."""

import dataclasses
import re

from conftest import make_run

from resparse.progress import Progress

RUN = make_run("set")


def lines(capsys, *runs, already=0):
    with Progress(already + len(runs), already) as progress:
        for run in runs:
            progress.notify(run, "running")
        for run in runs:
            progress.notify(run, "done")
    return capsys.readouterr().out.splitlines()


def test_a_line_names_the_workload_so_that_runs_of_two_are_told_apart(capsys):
    runs = [dataclasses.replace(RUN, model=model) for model in ("resnet8", "mlp_small")]
    first, *done = lines(capsys, *runs, already=3)
    assert first == "5 runs, 3 already done, 2 to train"
    form = r"\[(\d)/5\] done: (.*), sparsity 0.8, 30 steps, seed 0; ETA \d+:\d\d"
    assert [re.fullmatch(form, line).groups() for line in done] == [
        ("4", "set, resnet8 on digits"),
        ("5", "set, mlp_small on digits"),
    ]


def test_a_workload_of_ones_own_is_named_once(capsys):
    _, line = lines(capsys, dataclasses.replace(RUN, model="stripes", dataset="stripes"))
    assert "set, stripes, sparsity" in line


def test_a_line_does_not_count_workers_between_two_runs(capsys):
    """When one is done the next has not started: the number would be short by one."""
    said = lines(capsys, RUN, make_run("set", seed=1))
    assert len(said) == 3
    assert not any("running" in line for line in said)
