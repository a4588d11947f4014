"""A method's fault names the method, the step and the layer; nothing it is shown may be written."""

import pytest
from conftest import counts_of, make_run, train_to

from resparse import registry
from resparse.errors import RunFailed


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
