"""Updates that change no mask: a method that trains as static under another name is found."""

import pytest
from faults import fault, mine, require_found

from resparse.contract import weights
from resparse.contract.toy import toy_of
from resparse.errors import ContractBroken
from resparse.masks import Change, drop_and_grow
from resparse.method import Method


def by_momentum(self, step, layers):
    """Grows by what is 0 outside the mask: all that was dropped returns."""
    return {
        name: drop_and_grow(x.mask, x.weight.abs(), x.momentum.abs(), 0.4, ties=self.rng)
        for name, x in layers.items()
    }


STILL = [
    fault(
        weights.updates_change_a_mask,
        "none of its 5 updates changed a mask of fc1, conv2, fc3: it trains as static; valid: "
        "masks that move, or updates_at that is never True. Outside the mask momentum is 0, and "
        "drop_and_grow may regrow what it just dropped unless regrow_dropped=False",
        step=19,
        update_masks=by_momentum,
        random_growth_at=Method.random_growth_at,
    ),
    fault(
        weights.updates_change_a_mask,
        "none of its 3 updates changed a mask",
        step=17,
        updates_at=lambda self, step: step in (2, 5, 17),
        update_masks=lambda self, step, layers: {},
        random_growth_at=Method.random_growth_at,
    ),
]


@pytest.mark.parametrize(("cls", "fields", "holds", "step", "layer", "says", "early"), STILL)
def test_updates_that_change_no_mask_are_found(cls, fields, holds, step, layer, says, early):
    require_found(cls, fields, holds, step, layer, says, early)


def by_rows(share):
    """One move a thousand weights, rounded down: none of the toy's, some of a network's."""

    def update_masks(self, step, layers):
        return {
            name: Change(x.mask.roll(1, 0) if int(share * x.mask.numel()) else x.mask)
            for name, x in layers.items()
        }

    return update_masks


def test_a_share_that_is_no_weight_of_the_toy_but_one_of_a_network_is_an_update():
    steady = {"random_growth_at": Method.random_growth_at}
    weights.updates_change_a_mask(toy_of(mine(update_masks=by_rows(0.001), **steady), {}))
    with pytest.raises(ContractBroken, match="none of its 5 updates changed a mask"):
        weights.updates_change_a_mask(toy_of(mine(update_masks=by_rows(0.0), **steady), {}))
