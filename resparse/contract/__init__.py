"""What every method promises the trainer: a list of checks, and one sentence where one fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from resparse.contract import conduct, elsewhere, weights
from resparse.contract.toy import Toy, toy_of
from resparse.errors import ContractBroken
from resparse.method import Method


def _silent(check: str, step: int) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Check:
    """One promise; it trains the toy network from the start, so any one can be run alone."""

    name: str  # completes "checked: ..."
    holds: Callable[[Toy], None]

    def __call__(
        self,
        cls: type[Method],
        fields: Mapping[str, Any],
        *,
        name: str | None = None,
        progress: Callable[[str, int], None] = _silent,
    ) -> None:
        """Raise ContractBroken, with the method called ``name``, where it is not kept.

        ``progress`` is told this check and the step (-1: before training) before each call of
        the method, so that one that never returns can be placed.
        """
        try:
            self.holds(toy_of(cls, fields, partial(progress, self.name)))
        except ContractBroken as broken:
            raise (broken if name is None else broken.of(name)) from broken.__cause__


CHECKS = (
    Check("its file cites a source", conduct.cites_a_source),
    Check("what it declares is known and what it defines is called", conduct.declares_what_it_does),
    Check("its masks are boolean, of the weights' shape, not empty", weights.masks_fit),
    Check("what it is shown is never written", conduct.views_are_kept),
    Check("torch's settings are left as they are", conduct.settings_are_kept),
    Check("random streams that others share are left alone", conduct.streams_are_kept),
    Check("its update steps depend on the step alone", conduct.updates_by_the_step_alone),
    Check("its training cost lies within sparse and dense", conduct.flops_are_within_bounds),
    Check("an update asked twice answers the same", conduct.answers_twice_the_same),
    Check("the active weights of every step are as announced", weights.counts_are_announced),
    Check("the last density is the one asked for", weights.ends_at_its_budget),
    Check("no layer is emptied where weights are scarce", weights.no_layer_is_emptied),
    Check("weights and momentum outside the masks are zero", weights.nothing_outside_the_masks),
    Check("weights that grow start at zero", weights.grown_weights_start_at_zero),
    Check("the same seed gives the same masks", conduct.same_seed_same_masks),
    Check("so it does in another process", elsewhere.same_masks_elsewhere),
    Check("another seed gives other masks", conduct.other_seed_other_masks),
    Check("a resumed run continues identically", conduct.saved_state_continues),
    Check("pruned weights stay pruned", weights.pruned_weights_stay_pruned),
    Check("R_s is the union of its masks", weights.explored_is_the_union),
    Check("random growth is as announced", weights.random_growth_is_announced),
    Check("an update changes a mask", weights.updates_change_a_mask),
)


def check(
    cls: type[Method],
    fields: Mapping[str, Any],
    *,
    name: str,
    progress: Callable[[str, int], None] = _silent,
) -> list[str]:
    """Names of all checks, every one passed; raises ContractBroken at the first that is broken.

    ``fields`` are those the method is to be trained with; a schedule too long for the toy's 20
    steps is shortened (see toy.variants).
    """
    for each in CHECKS:
        each(cls, fields, name=name, progress=progress)
    return [each.name for each in CHECKS]
