"""What masks remember, across a resume too, what they show, and what they clear."""

import torch
from torch import nn

from resparse.masks import Change, Masks


def bits(text):
    return torch.tensor([character == "1" for character in text])


def layer(mask_text):
    """A layer of six weights 1..6 under a mask."""
    weight = nn.Parameter(torch.arange(1.0, 7.0))
    return weight, Masks({"fc": weight}, {"fc": bits(mask_text)})


def test_trained_weights_are_the_union_of_the_masks_noted_and_of_no_other():
    _, masks = layer("110000")
    assert masks.explored(masks.trained) == 0
    masks.note_trained()
    masks.install({"fc": Change(bits("001100"))}, None)  # too short a life: not noted
    masks.install({"fc": Change(bits("010010"))}, None)
    masks.note_trained()
    assert torch.equal(masks.trained["fc"], bits("110010"))
    assert masks.explored(masks.trained) == 3 / 6
    assert masks.explored() == 5 / 6
    masks.install({"fc": Change(bits("000001"))}, None)
    assert torch.equal(masks.trained["fc"], bits("110010"))  # notes are no views of a mask


def test_a_restored_mask_is_the_one_in_force_and_keeps_its_history():
    weight, masks = layer("110010")
    ever, trained = bits("111011"), bits("110001")
    masks.restore({"fc": bits("011000")}, {"fc": ever}, {"fc": trained}, None)
    assert weight.tolist() == [1.0, 2.0, 0.0, 0.0, 5.0, 0.0]  # weights are the checkpoint's own
    assert torch.equal(masks.mask["fc"], bits("011000"))
    assert masks.nnz() == {"fc": 2}
    assert masks.explored() == 5 / 6
    assert masks.explored(masks.trained) == 3 / 6
    weight.grad = torch.arange(1.0, 7.0)
    masks.mask_gradients()
    assert weight.grad.tolist() == [0.0, 2.0, 3.0, 0.0, 0.0, 0.0]
    masks.install({"fc": Change(bits("000100"))}, None)
    assert torch.equal(masks.ever["fc"], bits("111111"))


def test_an_install_says_how_many_weights_are_active_for_the_first_time():
    _, masks = layer("110000")
    assert masks.install({"fc": Change(bits("011100"))}, None) == 2
    assert masks.install({"fc": Change(bits("110000"))}, None) == 0  # seen before
    assert masks.install({"fc": Change(bits("000111"))}, None) == 2


def test_methods_see_adams_first_moment():
    weight, masks = layer("111000")
    optimizer = torch.optim.AdamW([weight], lr=0.1, betas=(0.5, 0.5))
    weight.grad = torch.full((6,), -4.0)
    masks.mask_gradients()
    optimizer.step()
    # halves of -4 and of its square: -2 and 8
    momentum = masks.layers(None, optimizer)["fc"].momentum
    assert momentum is not None
    assert momentum.tolist() == [-2.0, -2.0, -2.0, 0.0, 0.0, 0.0]


def test_what_leaves_the_mask_is_zero_whatever_it_was():
    weight, masks = layer("111111")
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    odd = torch.tensor([float("nan"), float("inf"), -1.0, -0.0, 1.0, float("nan")])
    optimizer.state[weight]["momentum_buffer"] = odd
    masks.install({"fc": Change(bits("000011"))}, optimizer)
    assert odd[:5].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert not torch.signbit(odd[:4]).any()
    assert odd[5].isnan()  # inside: the next step shows it
