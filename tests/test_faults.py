"""A method's fault names the method, the step and the layer; nothing it is shown may be written."""

import dataclasses
import re

import pytest
from conftest import counts_of, make_run, train_to

from resparse import registry, runner
from resparse.blame import guarded
from resparse.errors import DiskFull, RunFailed
from resparse.how import How
from resparse.outside import copied
from resparse.record import RunStore


@pytest.mark.fault
def test_a_count_off_by_one_is_refused(tmp_path, monkeypatch):
    cls = registry.load("set")
    update = cls.update_masks

    def one_short(self, step, layers):
        changes = update(self, step, layers)
        changes["conv1"].mask.view(-1)[changes["conv1"].mask.view(-1).nonzero()[0]] = False
        return changes

    monkeypatch.setattr(cls, "update_masks", one_short)
    counts = counts_of(make_run("set"))["conv1"]
    with pytest.raises(RunFailed, match=f"set, step 3: layer conv1: {counts - 1} .* {counts} a"):
        train_to(tmp_path, make_run("set"))


@pytest.mark.fault
def test_a_first_mask_of_one_weight_too_many_is_refused_before_the_first_step(
    tmp_path, monkeypatch
):
    cls = registry.load("static")
    first = cls.init_masks

    def one_more(self, layers):
        masks = first(self, layers)
        layer = masks["stages.2.conv2"].view(-1)
        layer[(~layer).nonzero()[0]] = True
        return masks

    monkeypatch.setattr(cls, "init_masks", one_more)
    n = counts_of(make_run("static"))["stages.2.conv2"]
    with pytest.raises(
        RunFailed, match=rf"before step 0: layer stages\.2\.conv2: {n + 1} .* {n} ann"
    ):
        train_to(tmp_path, make_run("static"))


@pytest.mark.parametrize("part", ["mask", "ever", "weight"])
def test_a_method_that_writes_in_place_is_refused(part, tmp_path, monkeypatch):
    cls = registry.load("set")
    update = cls.update_masks

    def writes(self, step, layers):
        getattr(layers["fc"], part)[0] = 1
        return update(self, step, layers)

    monkeypatch.setattr(cls, "update_masks", writes)
    with pytest.raises(RunFailed, match=f"method set, step 3, layer fc: it wrote into {part}"):
        train_to(tmp_path, make_run("set"))


def test_what_a_method_raises_names_it_the_step_and_the_line(tmp_path, monkeypatch):
    monkeypatch.setattr(registry.load("set"), "update_masks", lambda self, step, layers: {}["no"])
    with pytest.raises(RunFailed, match=r"method set, step 3: KeyError 'no' \(tests/test_faults"):
        train_to(tmp_path, make_run("set"))


@pytest.mark.parametrize("name", ["snip_set_itop", "lth_set_itop"])
def test_exploration_follows_the_step_whatever_mask_it_starts_from(name):
    assert registry.own_fields(registry.load("set_itop"))["order"] == "after"
    assert registry.own_fields(registry.load(name))["order"] == "after"


def test_a_method_that_keeps_a_gradient_that_is_masked_next_is_refused(tmp_path, monkeypatch):
    def keeps(self, step, layers):
        self.state["mine"] = layers["fc"].grad.view(-1)[1:]

    monkeypatch.setattr(registry.load("snfs"), "observe", keeps)
    message = (
        r"method snfs, step 0, layer fc: state\['mine'\] is the gradient itself.*; valid: a copy"
    )
    with pytest.raises(RunFailed, match=message):
        train_to(tmp_path, make_run("snfs"))


def refused(body, message, tmp_path, brought, *, top="", **fields):
    brought(body, top=top)
    with pytest.raises(RunFailed) as found:
        train_to(tmp_path / "run", make_run("mine", **fields))
    assert re.search(message, str(found.value)), found.value
    assert "\n" not in str(found.value)


LATE = {  # question: what is done, in which step it shows
    "updates_at": ("def updates_at(self, step):\n    return [True] * 20 and 1 // (20 - step)", 20),
    "nnz_at": ("def nnz_at(self, step):\n    return [self.target_counts()][step // 29]", 29),
    "random_growth_at": (
        "def random_growth_at(self, step):\n"
        "    return {n: (1, 9 // (11 - step)) for n in self.sizes}",
        11,
    ),
    "train_flops": ("def train_flops(self, dense, sparse):\n    return {}['train']", None),
    "prepare_scoring": (
        "scores_at_init: ClassVar[bool] = True\ndef prepare_scoring(self, model):\n    model.a()",
        -1,
    ),
}


@pytest.mark.parametrize("what", LATE)
def test_what_any_question_raises_names_method_step_and_question(what, tmp_path, brought):
    body, step = LATE[what]
    at = "" if step is None else ", before step 0" if step < 0 else f", step {step}"
    message = rf"^method mine{at}, {what}: .*\(methods/mine\.py:\d+\)$"
    refused(body, message, tmp_path, brought)


def test_a_loop_in_any_question_is_stopped(tmp_path, brought, monkeypatch):
    brought("def updates_at(self, step):\n    while step > 7:\n        pass\n    return step == 3")
    run = make_run("mine")
    monkeypatch.setitem(guarded.__wrapped__.__kwdefaults__, "limit_s", 0.5)
    with pytest.raises(RunFailed, match=r"mine, step 8, updates_at: it did not return within 0 s"):
        train_to(tmp_path, run)


CHEAP = """
grads: ClassVar[str] = "{grads}"

def update_masks(self, step, layers):
    return gradient_update(self, layers, 0.3) if {dense} else random_update(self, layers, 0.3)

def train_flops(self, dense, sparse):
    train = 3 * self.mean_forward(sparse) * {steps}
    return {{"init": 0.0, "train": train, "parent": 0.0}}
"""


@pytest.mark.parametrize(
    ("grads", "steps", "valid"),
    [
        ("never", "min(self.total_steps, 20)", r"3 sparse\(s - 1\) to 3 dense for each step s$"),
        ("update", "self.total_steps", r"3 sparse.*, and dense for sparse once at each update$"),
        ("always", "self.total_steps", r"2 sparse\(s - 1\) \+ dense to 3 dense for each step s$"),
    ],
)
def test_a_cost_below_that_of_its_own_masks_is_refused(grads, steps, valid, tmp_path, brought):
    body = CHEAP.format(grads=grads, steps=steps, dense=grads == "update")
    message = rf"^method mine: train_flops gives train = \S+, not within .*; valid: {valid}"
    refused(body, message, tmp_path, brought)


FEWER = """
def target_counts(self):
    return {n: c - (self.sizes[n] > 1000) for n, c in Method.target_counts(self).items()}
"""


@pytest.mark.fault
@pytest.mark.parametrize("budget", ["layer", "global"])
def test_a_last_density_that_is_not_the_runs_is_refused(budget, tmp_path, brought):
    asked = sum(counts_of(make_run("set")).values()) if budget == "global" else r"\d+"
    where = "" if budget == "global" else r", layer stages\.\d\.conv\d"
    body = f"{FEWER}budget: ClassVar[str] = {budget!r}\n"
    message = rf"^method mine, step 29{where}: (\d+) active weights at the end, .* ask for {asked};"
    refused(body, message, tmp_path, brought)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("def update_masks(self, step, layers):\n    os._exit(3) if step > 8 else None\n"
         "    return random_update(self, layers, 0.3)", "step 11"),
        ("def init_masks(self, layers):\n    os._exit(3)", "before training"),
        ("def train_flops(self, dense, sparse):\n    os._exit(3)", "after the last step"),
    ],
)  # fmt: skip
def test_a_process_that_dies_is_placed(body, where, tmp_path, brought):
    brought(body, top="import os")
    store = RunStore(tmp_path / "runs")
    copy, digest = copied(tmp_path / "methods" / "mine.py", store.root, "methods")
    registry.add("mine", copy)
    run = dataclasses.replace(make_run("mine"), method_sha256=digest)
    how = {"data_root": None, "how": How(), "workers": 1, "notify": lambda run, what: None}
    assert runner.run_all([run], store, **how) == {
        run.key: f"method mine, {where}: its process ended with exit code 3"
    }


@pytest.mark.fault
def test_a_full_disk_ends_the_command_with_4_whichever_run_finds_it(tmp_path, brought):
    """As a checkpoint would: the others write theirs and stop."""
    body = (
        "def update_masks(self, step, layers):\n"
        '    with writing(Path("x")):\n'
        "        raise OSError(28, 'No space left on device')"
    )
    brought(body, top="from pathlib import Path\nfrom resparse.files import writing")
    store = RunStore(tmp_path / "runs")
    copy, digest = copied(tmp_path / "methods" / "mine.py", store.root, "methods")
    registry.add("mine", copy)
    run = dataclasses.replace(make_run("mine"), method_sha256=digest)
    how = {"data_root": None, "how": How(), "workers": 1, "notify": lambda run, what: None}
    said = f"run {run.key}: disk full while writing x: free some space and repeat"
    with pytest.raises(DiskFull, match=said) as found:
        runner.run_all([run], store, **how)
    assert found.value.exit_code == 4
    assert "disk full" in (store.folder(run).path / "failure.json").read_text()
