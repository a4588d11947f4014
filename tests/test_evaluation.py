"""Each test image counts exactly once, in one process or in several that share them."""

from types import SimpleNamespace

import pytest
import torch
from torch import distributed, nn
from torch.multiprocessing import start_processes
from torch.nn import functional as F

from resparse.data import digits
from resparse.data.memory import InMemory
from resparse.data.order import Share, own_share
from resparse.errors import RunFailed
from resparse.outcome import correct, end_epoch
from resparse.training import Progress
from resparse.watch import Watch

LABELS, RIGHT = [8, 1, 7, 8, 7, 0, 5], 2  # neither two processes nor three share them evenly


class Seven(InMemory):
    """Seven digits to test on; the first ``twice`` processes see one of theirs again.

    Where batches must be whole, those that are not are left out.
    """

    twice, whole = 0, False

    def eval_batches(self, split, batch_size):
        batches = super().eval_batches(split, batch_size)
        yield from (batch for batch in batches if not self.whole or len(batch[0]) == batch_size)
        if self.share.rank < self.twice:
            yield next(super().eval_batches(split, 1))


def seven():
    """Made like a dataset from outside, which knows nothing of several processes."""
    whole = digits.load()
    part = tuple(tensor[: len(LABELS)] for tensor in whole.splits["test"])
    splits = {"train": whole.splits["train"], "test": part}
    return Seven("seven", 10, splits, mean=whole.mean, std=whole.std)


def training(twice=0):
    """What ``correct`` needs: a model that takes every image for the class of the first."""
    data, model = seven(), nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    data.twice = twice
    model[1].weight.data.zero_()
    model[1].bias.data = F.one_hot(data.splits["test"][1][0], 10).float()
    watch = Watch(torch.device("cpu"), every=1)
    masks = SimpleNamespace(explored=lambda: 0.25)
    return SimpleNamespace(model=model, forward=model, data=data, watch=watch, masks=masks)


def counted(rank, world, folder, twice):
    """One process: writes what it counts, or what is refused."""
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    try:
        assert own_share() == Share(rank, world)
        said = str(correct(training(twice), "test"))
    except RunFailed as error:
        said = str(error)
    (folder / str(rank)).write_text(said)
    distributed.destroy_process_group()


def together(world, folder, twice=0):
    """What each of ``world`` processes says."""
    start_processes(counted, (world, folder, twice), nprocs=world, start_method="fork")
    return [(folder / str(rank)).read_text() for rank in range(world)]


def test_one_process_counts_all():
    assert seven().splits["test"][1].tolist() == LABELS
    assert correct(training(), "test") == RIGHT


@pytest.mark.parametrize("world", [2, 3])
def test_processes_together_count_each_image_once(world, tmp_path):
    assert together(world, tmp_path) == [str(RIGHT)] * world


REFUSED = (
    "dataset seven, test: 8 images evaluated by all processes together; valid: each of its 7 once; "
    "mend its eval_batches"
)


def test_a_loader_that_repeats_an_image_is_refused_in_every_process(tmp_path):
    with pytest.raises(RunFailed, match=REFUSED):
        correct(training(twice=1), "test")
    assert together(2, tmp_path, twice=1) == [REFUSED] * 2


def test_a_loader_that_leaves_images_out_is_refused():
    """As training loaders do with a last batch that is not whole."""
    incomplete = training()
    incomplete.data.whole = True
    with pytest.raises(RunFailed, match=r"test: 0 images evaluated .* valid: each of its 7 once"):
        correct(incomplete, "test")


def test_an_epochs_loss_is_the_mean_of_its_own_steps():
    run = SimpleNamespace(recipe=SimpleNamespace(steps=4), test_every_epoch=False)
    t, progress = training(), Progress(step=3, loss_steps=3)
    t.progress, t.run, t.announced = progress, run, lambda step: 1
    for step, loss in enumerate((1.0, 2.0, 3.0)):
        t.watch.note(step, torch.tensor(loss), {})
    end_epoch(t, 1)
    t.watch.note(3, torch.tensor(5.0), {})
    progress.loss_steps += 1
    end_epoch(t, 2)
    assert progress.train_loss == [2.0, 5.0]
    assert progress.rs == [0.25, 0.25]
    assert (progress.val_top1, progress.test_top1, progress.best_epoch) == ([], [], 0)


@pytest.mark.parametrize(("density_is_final_at", "best"), [(1, 1), (2, 2), (9, 0)])
def test_of_epochs_equally_good_on_the_test_images_the_first_is_best(density_is_final_at, best):
    """Of those whose last step has the final density; 0: none has."""
    run = SimpleNamespace(recipe=SimpleNamespace(steps=20), test_every_epoch=True)
    t, progress = training(), Progress(step=0)
    t.progress, t.run, t.announced = progress, run, lambda step: step >= density_is_final_at - 1
    for epoch in (1, 2, 3):
        progress.step, progress.loss_steps = epoch, 1
        end_epoch(t, epoch)
    assert progress.test_top1 == [100.0 * RIGHT / len(LABELS)] * 3
    assert progress.most_tested_epoch == best
    assert progress.most_tested == (RIGHT if best else -1)
