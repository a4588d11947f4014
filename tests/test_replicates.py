"""Runs that are trained together are the runs alone: masks equal, weights to 1e-9, each its own."""

import dataclasses

import pytest
import torch
from conftest import Watched, counts_of, make_run, new_folder, train_to
from safetensors.torch import load_file

from resparse import registry, replicates
from resparse.beginning import start
from resparse.checkpoint import load_checkpoint
from resparse.data import digits
from resparse.errors import Requeue, RunFailed, UsageError
from resparse.how import How
from resparse.replicates import Replicate, train_together
from resparse.stack import Stack, alike, require_stacking
from resparse.trainer import Checkpoints, begun, concluded

STEPS = 32


def small(method, seed, density, **fields):
    """A run of the small MLP in fp64, of a method whose masks move."""
    density = 1.0 if method == "dense" else density
    run = make_run(method, STEPS, seed, **fields)
    return dataclasses.replace(run, model="mlp_small", precision="fp64", density=density)


RUNS = {
    "rigl": small("rigl", 0, 0.2, order="replace", interval=4),
    "set": small("set", 1, 0.1, interval=7),
    "static": small("static", 2, 0.3),
    "gmp": small("gmp", 3, 0.15),
    "snfs": small("snfs", 1, 0.2, interval=5),  # the seed of another, and looks at every step
    "dense": small("dense", 5, 1.0),
}


def replicate(run, path, data=None, **options):
    """A run to be trained with others, continued from ``path`` where that holds a checkpoint."""
    data, folder = data or digits.load(), new_folder(path)
    t = begun(run, data, counts_of(run, data), folder, None, How())
    return Replicate(t, folder, **options)


def together(root, runs=RUNS, data=None, stop_after=None, every=None, **options):
    """What becomes of the runs by name: Trained, or why one failed; each in ``root``/name."""
    made = {n: replicate(run, root / n, data, **options) for n, run in runs.items()}
    names = {id(one): name for name, one in made.items()}
    ahead, found = Checkpoints(1e9, every, stop_after), {}
    for one in train_together(list(made.values()), ahead):
        if isinstance(one.over, RunFailed):
            found[names[id(one)]] = str(one.over)
        else:
            found[names[id(one)]] = concluded(one.t, one.folder, one.over)
    return found


def masks_seen(seen):
    """A ``see`` that notes by run and step the masks then."""

    def see(t):
        seen[t.run.key, t.progress.step] = t.masks.digest()

    return see


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Each run by itself: folder, Trained by name, and the masks after every step."""
    root, seen = tmp_path_factory.mktemp("alone"), {}
    trained = {n: train_to(root / n, run, see=masks_seen(seen)) for n, run in RUNS.items()}
    return root, trained, seen


def require_equal(path, other, within=1e-9):
    """Masks to the bit, weights to a relative part."""
    ours, theirs = (load_file(p / "final.safetensors") for p in (path, other))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if name.startswith("mask/"):
            assert torch.equal(value, theirs[name]), name
        else:
            torch.testing.assert_close(value, theirs[name], rtol=within, atol=1e-12)


def require_as_alone(found, alone, root, names=RUNS, lacking=()):
    """Outcomes and final weights of ``names`` are those alone, but for what is ``lacking``."""
    for name in names:
        ours, theirs = found[name], alone[1][name]
        assert (ours.status, ours.files) == (theirs.status, theirs.files)
        assert theirs.outcome.keys() - ours.outcome.keys() == set(lacking)
        differ = {k for k, value in ours.outcome.items() if value != theirs.outcome[k]}
        assert differ <= {"weights_sha256"}
        assert ours.curves["val_top1"] == theirs.curves["val_top1"]
        assert ours.curves["train_loss"] == pytest.approx(theirs.curves["train_loss"], rel=1e-9)
        require_equal(root / name, alone[0] / name)


def test_each_is_its_run_alone(tmp_path, alone):
    seen = {}
    found = together(tmp_path, see=masks_seen(seen))
    assert seen == alone[2]
    assert len({seen[run.key, STEPS] for run in RUNS.values()}) == len(RUNS)
    require_as_alone(found, alone, tmp_path)


def test_all_lies_in_tensors_of_which_each_has_a_row():
    runs = [RUNS["rigl"], RUNS["set"]]
    trainings = [start(run, digits.load(), counts_of(run), None, How()) for run in runs]
    before = [t.model.fc2.weight.clone() for t in trainings]
    stack = Stack(trainings)
    assert [tuple(f.shape[:1]) for f in stack.factor.values()] == [(2,)] * 3
    for row, t in enumerate(trainings):
        weight, stacked = t.model.fc2.weight, stack.weight["fc2.weight"]
        moment = stack.optimizer.state[stacked]["momentum_buffer"]
        assert torch.equal(weight, before[row])
        for own, whole in (
            (weight, stacked),
            (weight.grad, stacked.grad),
            (t.optimizer.state[weight]["momentum_buffer"], moment),
            (t.masks.stored["fc2"].factor, stack.factor["fc2"]),
            (t.watch.loss, stack.loss),
        ):
            assert own.data_ptr() == whole[row].data_ptr()
            assert own.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
        assert torch.equal(t.masks.stored["fc2"].factor.bool(), t.masks.mask["fc2"])


def test_losses_and_gradients_are_looked_at_by_row():
    """What is not finite is in no sum: the run's own watch looks at that step."""
    runs = [RUNS["rigl"], RUNS["set"], RUNS["gmp"]]
    stack = Stack([start(run, digits.load(), counts_of(run), None, How()) for run in runs])
    stack.weight["fc2.bias"].grad[2, 5] = float("inf")
    assert stack.look(torch.tensor([1.5, float("nan"), 2.0], dtype=torch.float64)) == [1, 2]
    assert stack.look(torch.tensor([0.25, 0.5, 2.0], dtype=torch.float64)) == [2]
    assert stack.loss.tolist() == [1.75, 0.5, 0.0]
    assert stack.trainings[0].watch.take() == 1.75
    assert stack.loss.tolist() == [0.0, 0.5, 0.0]


def test_a_batch_is_each_runs_own_and_equal_seeds_see_the_same():
    runs = [RUNS["rigl"], RUNS["set"], RUNS["snfs"]]
    data = digits.load()
    stack = Stack([start(run, data, counts_of(run), None, How()) for run in runs])
    for images, labels in stack.batches(12, 16):  # over the end of an epoch
        assert torch.equal(images[1], images[2])
        assert not torch.equal(images[0], images[1])
        assert (images.shape, labels.shape) == ((3, 64, 1, 8, 8), (3, 64))
    alone = zip(*(data.train_batches(run.seed, 64, 12, 16) for run in runs), strict=True)
    for (images, labels), each in zip(stack.batches(12, 16), alone, strict=True):
        for row, (image, label) in enumerate(each):
            assert torch.equal(images[row], image)
            assert torch.equal(labels[row], label)


def test_data_from_outside_are_stacked_too(tmp_path, alone):
    found = together(tmp_path, data=Watched(lambda *_: None))
    require_as_alone(found, alone, tmp_path, lacking=["train_top1"])


@pytest.mark.parametrize("at", [3, 9])  # an update of rigl in place of the step; any other step
def test_one_that_diverges_leaves_the_others_as_they_are(at, tmp_path, alone):
    """It has the weights before the bad step, and the reason it has alone."""

    def see(step, images, labels):
        return images * float("inf") if step == at else None

    class Bad(Watched):
        """Of seed 0 alone."""

        def train_batches(self, seed, *rest):
            of = super() if seed == 0 else self.data
            return of.train_batches(seed, *rest)

    found = together(tmp_path, data=Bad(see))
    alone_bad = train_to(tmp_path / "bad", RUNS["rigl"], data=Watched(see))
    assert (found["rigl"].status, found["rigl"].reason) == (alone_bad.status, alone_bad.reason)
    assert found["rigl"].reason == f"loss is nan at step {at}"
    require_equal(tmp_path / "rigl", tmp_path / "bad")
    others = [name for name in RUNS if name != "rigl"]
    require_as_alone(found, alone, tmp_path, others, lacking=["train_top1"])


def test_one_whose_method_fails_ends_alone(tmp_path, alone, monkeypatch):
    def breaks(self, step, layers):
        raise ValueError("no idea")

    monkeypatch.setattr(registry.load("snfs"), "update_masks", breaks)
    found = together(tmp_path)
    assert found.pop("snfs").startswith("method snfs, step 4: ")
    require_as_alone(found, alone, tmp_path, found)


def test_stopped_all_are_saved_and_go_on(tmp_path, alone):
    with pytest.raises(Requeue, match="stopped after step 16 of 32"):
        together(tmp_path, stop_after=17)
    for name in RUNS:
        assert [p.name for p in (tmp_path / name).glob("checkpoint-*")] == ["checkpoint-000000017"]
    require_as_alone(together(tmp_path), alone, tmp_path)


def test_asked_to_stop_all_are_saved_at_the_same_step(tmp_path):
    made = [replicate(RUNS[n], tmp_path / n) for n in ("rigl", "set", "static")]
    asks = iter([False] * 5 + [True])
    with pytest.raises(Requeue, match="after step 5 "):
        list(train_together(made, Checkpoints(1e9, None, None), lambda: next(asks)))
    assert next(asks, None) is None  # asked once a step: all do the same
    found = [load_checkpoint(one.folder.path, one.t.run.key, print)[0] for one in made]
    assert found == [6, 6, 6]


def test_those_behind_catch_up_and_all_go_on_together(tmp_path, alone, monkeypatch):
    """A kill leaves checkpoints of several steps: here of one run none."""
    some = {name: RUNS[name] for name in ("rigl", "set", "static")}
    with pytest.raises(Requeue):
        together(tmp_path, some, stop_after=9)
    with pytest.raises(Requeue):
        together(tmp_path, {"rigl": RUNS["rigl"]}, stop_after=20)
    stacks = []

    def noted(trainings):
        stacks.append((trainings[0].progress.step, len(trainings)))
        return Stack(trainings)

    monkeypatch.setattr(replicates, "Stack", noted)
    found = together(tmp_path)
    assert stacks == [(0, 3), (9, 5), (20, 6)]
    require_as_alone(found, alone, tmp_path)


def test_a_checkpoint_goes_on_alone_and_the_other_way_round(tmp_path, alone):
    pair = {name: RUNS[name] for name in ("rigl", "set")}
    with pytest.raises(Requeue):
        together(tmp_path, pair, stop_after=17)
    trained = {name: train_to(tmp_path / name, run) for name, run in pair.items()}
    require_as_alone(trained, alone, tmp_path, pair)
    for name, run in pair.items():
        with pytest.raises(Requeue):
            train_to(tmp_path / "back" / name, run, stop_after=11)
    require_as_alone(together(tmp_path / "back", pair), alone, tmp_path / "back", pair)


def test_a_checkpoint_has_the_random_stream_of_its_own_run(tmp_path):
    """Whatever was begun after it in the same process."""
    run = RUNS["rigl"]
    with pytest.raises(Requeue):
        train_to(tmp_path / "alone", run, stop_after=4)
    with pytest.raises(Requeue):
        together(tmp_path, stop_after=4)
    ours, theirs = (load_checkpoint(tmp_path / n, run.key, print) for n in ("rigl", "alone"))
    assert ours[1].keys() == theirs[1].keys()
    assert torch.equal(ours[1]["rng"], theirs[1]["rng"])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_in_other_precisions_a_few_steps_are_those_alone(precision, tmp_path):
    runs = {n: dataclasses.replace(RUNS[n], precision=precision) for n in ("rigl", "set")}
    for name, run in runs.items():
        with pytest.raises(Requeue):
            train_to(tmp_path / "alone" / name, run, stop_after=3)
    with pytest.raises(Requeue):
        together(tmp_path, runs, stop_after=3)
    for name, run in runs.items():
        ours, theirs = (
            load_checkpoint(p / name, run.key, print)[1] for p in (tmp_path, tmp_path / "alone")
        )
        for part, value in theirs.items():
            torch.testing.assert_close(ours[part], value, rtol=1e-3, atol=1e-4)


def test_what_runs_have_in_common():
    first = alike(RUNS["rigl"])
    assert all(alike(run) == first for run in RUNS.values())
    recipe = dataclasses.replace(RUNS["set"].recipe, lr=0.05)
    for change in ({"recipe": recipe}, {"precision": "fp32"}, {"dataset": "cifar10"}):
        assert alike(dataclasses.replace(RUNS["set"], **change)) != first


def test_a_network_without_batched_products_is_refused():
    require_stacking(RUNS["set"])
    with pytest.raises(UsageError, match=r"model resnet8: .*batch norm.*valid: mlp, mlp_small"):
        require_stacking(make_run("set"))
    with pytest.raises(UsageError, match="engine sparse; valid: masked"):
        require_stacking(dataclasses.replace(RUNS["set"], engine="sparse"))
