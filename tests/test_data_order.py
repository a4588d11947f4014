"""Which images a step sees: by seed and epoch, from any step, shared out among processes."""

import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from resparse.data.crops import RATIO, SCALE, centre_boxes, random_boxes
from resparse.data.order import WHOLE, Share, mine, over_processes, own_share, steps
from resparse.errors import UsageError


def plain(*arguments):
    return [(s.epoch, s.step, s.images.tolist()) for s in steps(*arguments)]


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 8, 9])
def test_steps_can_start_anywhere(start):
    whole = plain(10, 0, 3, 0, 10)
    assert plain(10, 0, 3, start, 10) == whole[start:]
    assert [epoch for epoch, _, _ in whole] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert [step for _, step, _ in whole] == list(range(10))


def test_an_epoch_has_every_image_once_and_the_next_another_order():
    first, second = (plain(12, 0, 4, 3 * epoch, 3 * epoch + 3) for epoch in (0, 1))
    for epoch in (first, second):
        assert sorted(n for _, _, images in epoch for n in images) == list(range(12))
    assert [images for _, _, images in first] != [images for _, _, images in second]
    assert plain(12, 1, 4, 0, 3) != first


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_processes_together_see_what_one_alone_sees(world):
    parts = [
        [mine(s.images, Share(rank, world)) for s in steps(12, 5, 6, 1, 5, Share(rank, world))]
        for rank in range(world)
    ]
    for alone, *rows in zip(steps(12, 5, 6, 1, 5), *parts, strict=True):
        assert torch.equal(torch.stack(rows, 1).flatten(), alone.images)


@pytest.mark.parametrize("world", [1, 2, 3, 7, 9])
def test_rows_that_do_not_divide_evenly_are_shared_out_each_once(world):
    """As in an evaluation: none is repeated or left out so that processes have equally many."""
    parts = [mine(torch.arange(7), Share(rank, world)).tolist() for rank in range(world)]
    assert sorted(row for part in parts for row in part) == list(range(7))
    assert {part[0] for part in parts if part} == set(range(min(world, 7)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: list(steps(10, 0, 11, 0, 1)), "batch size 11 for 10 images; valid: 1 to 10"),
        (lambda: list(steps(10, 0, 2, 0, 1, Share(0, 3))), "batch size 2 for 3 processes; valid"),
    ],
)
def test_what_cannot_be_shared_is_refused(act, said):
    with pytest.raises(UsageError, match=said):
        act()


def test_one_process_counts_for_itself():
    assert over_processes(3, 7) == [3, 7]
    assert own_share() == WHOLE == Share(0, 1)


def test_centre_boxes_by_hand():
    heights, widths = torch.tensor([256, 300, 200]), torch.tensor([256, 400, 100])
    # 7/8 of the shorter side: 224 of 256; 262 of 300; 87 of 100
    assert centre_boxes(heights, widths, 224 / 256).tolist() == [
        [16, 16, 224, 224],
        [19, 69, 262, 262],
        [56, 6, 87, 87],
    ]


def test_random_boxes_lie_inside_and_have_the_areas_and_ratios_they_should():
    heights = torch.full((20_000,), 300)
    boxes, flips = random_boxes(heights, heights + 100, seed=0, step=0)
    top, left, h, w = boxes.unbind(1)
    assert int(top.min()) == 0 == int(left.min())
    assert int((top + h).max()) == 300
    assert int((left + w).max()) == 400
    ratio, area = w / h, h * w / (300 * 400)
    assert RATIO[0] - 0.01 < float(ratio.min()) < float(ratio.max()) < RATIO[1] + 0.01
    assert 0.078 < float(area.min()) < 0.09
    assert abs(float(flips.float().mean()) - 0.5) < 0.015  # 4 standard deviations


def test_a_boxs_place_is_drawn_for_itself():
    """Not with its size, and down not with across: uncorrelated within 4 standard deviations."""
    heights = torch.full((20_000,), 300)
    boxes, flips = random_boxes(heights, heights + 100, seed=1, step=2)
    top, left, h, w = boxes.double().unbind(1)
    down, across = (top + 0.5) / (301 - h), (left + 0.5) / (401 - w)
    assert bool((down < 1).all() & (across < 1).all())
    draws = torch.stack([down, across, (h * w).log(), (w / h).log(), flips.double()])
    between = torch.corrcoef(draws).triu(1)
    between[2, 3] = 0.0  # large boxes fit at few ratios
    assert float(between.abs().max()) < 4 / 20_000**0.5
    for place in (down, across):
        assert abs(float(place.mean()) - 0.5) < 4 / (12 * 20_000) ** 0.5


def test_a_steps_boxes_depend_on_seed_and_step_only():
    sides = torch.tensor([300, 200, 100])
    one, same = random_boxes(sides, sides, 0, 4), random_boxes(sides, sides, 0, 4)
    assert torch.equal(one[0], same[0])
    assert not torch.equal(one[0], random_boxes(sides, sides, 0, 5)[0])
    assert not torch.equal(one[0], random_boxes(sides, sides, 1, 4)[0])


def test_where_nothing_fits_the_centre_is_taken_at_the_nearest_ratio():
    # a 1000 x 10 image: no try of at least 800 pixels of area and ratio 3/4 .. 4/3 fits
    boxes, _ = random_boxes(torch.tensor([10, 1000]), torch.tensor([1000, 10]), 0, 0)
    assert boxes.tolist() == [[0, 493, 10, 13], [493, 0, 13, 10]]


@pytest.mark.parametrize(("height", "width"), [(300, 400), (400, 300), (64, 200)])
def test_random_boxes_are_distributed_as_torchvisions(height, width):
    count = 10_000
    sides = torch.tensor([height, width]).repeat(count, 1)
    ours = random_boxes(*sides.unbind(1), seed=0, step=0)[0].double()
    image = torch.empty(3, height, width)
    torch.manual_seed(0)
    draw = RandomResizedCrop.get_params
    theirs = torch.tensor([draw(image, SCALE, RATIO) for _ in range(count)]).double()
    error = ((ours.var(0) + theirs.var(0)) / count).sqrt()
    assert bool(((ours.mean(0) - theirs.mean(0)).abs() < 4 * error).all())
    spread = ours.std(0) / theirs.std(0)
    assert bool(((spread - 1).abs() < 0.04).all())
