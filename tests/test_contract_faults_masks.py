"""Every check of masks and weights finds a method that breaks it; so does what is raised."""

import pytest
import torch
from faults import Sound, changed, fault, require_found, shrunk
from test_contract_faults import ANSWERS, COSTS, DECLARED, WRITES
from test_contract_faults_shared import CHANCES, DRAWS, SETTINGS
from test_contract_faults_still import STILL
from test_contract_filed import FAULTS as FILED

from resparse.contract import CHECKS, weights
from resparse.masks import Change, drop_and_grow, top_k
from resparse.method import Method
from resparse.rules import keep_largest, random_growth

BAD_MASKS = {
    "mask is torch.float32 of shape (5, 2, 2, 2); valid: torch.bool of": torch.Tensor.float,
    "mask is torch.bool of shape (40,); valid: torch.bool of shape (5, 2, 2, 2)": torch.flatten,
    "mask is a list; valid: torch.bool of shape (5, 2, 2, 2)": torch.Tensor.tolist,
    "the mask keeps no weight (layer collapse); valid: at least one": torch.zeros_like,
}
BAD_CHANGES = {
    **{says: lambda c, bad=bad: Change(bad(c.mask)) for says, bad in BAD_MASKS.items()},
    "reset is torch.int64 of shape (5, 2, 2, 2); valid": lambda c: Change(c.mask, c.mask.long()),
    "update_masks gave a Tensor; valid: Change(mask)": lambda c: c.mask,
    "starved is 1; valid: True or False": lambda c: c._replace(starved=1),
}
SHAPED = [
    *(
        fault(weights.masks_fit, says, step=at, layer="conv2", **{what: changed(what, bad, at)})
        for what, at, cases in (
            ("init_masks", -1, BAD_MASKS),
            ("update_masks", 7, BAD_CHANGES),
        )
        for says, bad in cases.items()
    ),
    fault(
        weights.masks_fit,
        "update_masks returned a NoneType; valid: a dict by layer",
        step=3,
        update_masks=lambda self, step, layers: None,
    ),
    fault(
        weights.masks_fit,
        "update_masks names a layer 'conv'; valid: fc1, conv2, fc3",
        step=3,
        update_masks=lambda self, step, layers: {"conv": Change(layers["fc1"].mask)},
    ),
    fault(
        weights.masks_fit,
        "no mask; valid: one for every layer",
        step=-1,
        layer="fc3",
        init_masks=lambda self, layers: {n: x.mask for n, x in layers.items() if n != "fc3"},
    ),
]


def largest_of_all(self, layers):
    """A global ranking that lets layers die; fc3 has the smaller weights."""
    factor = {"fc1": 1.0, "conv2": 1.0, "fc3": 0.5}
    scores = {name: layer.weight.abs() * factor[name] for name, layer in layers.items()}
    total = sum(self.target_counts().values())
    masks = keep_largest(scores, total, at_least=0).masks
    self.state["counts"] = torch.tensor([int(mask.sum()) for mask in masks.values()])
    return masks


def dying(self, step, layers):
    """Drops a layer's only weight."""
    changes = Sound.update_masks(self, step, layers)
    if int(layers["fc3"].mask.sum()) == 1:
        changes["fc3"] = Change(~layers["fc3"].mask & False)
    return changes


def one_more(self):
    return Method.target_counts(self) | {"conv2": 16}


LAST = "active weights at the end, where the densities ask for"
COUNTED = [
    fault(
        weights.counts_are_announced,
        "14 active weights, 15 announced by nnz_at; valid: exactly as many",
        step=7,
        layer="conv2",
        update_masks=changed("update_masks", lambda c: Change(shrunk(c.mask)), 7),
    ),
    fault(
        weights.counts_are_announced,
        "14 active weights, 15 announced by nnz_at",
        step=-1,
        layer="conv2",
        init_masks=changed("init_masks", shrunk, -1),
    ),
    fault(
        weights.counts_are_announced,
        "15 active weights, None announced by nnz_at",
        step=-1,
        layer="fc3",
        nnz_at=lambda self, step: {"fc1": 10, "conv2": 15},
    ),
    fault(
        weights.counts_are_announced,
        "40 active weights, 41 announced by nnz_at",
        step=5,
        budget="global",
        nnz_at=lambda self, step: 40 if step < 5 else 41,
    ),
    fault(
        weights.counts_are_announced,
        "nnz_at gave 'all'; valid: a dict of one count for every layer, or an int where only",
        step=-1,
        nnz_at=lambda self, step: "all",
    ),
    fault(
        weights.ends_at_its_budget,
        f"16 {LAST} 15; valid: exactly as many in every layer",
        step=19,
        layer="conv2",
        target_counts=one_more,
    ),
    fault(
        weights.ends_at_its_budget,
        f"41 {LAST} 40",
        step=19,
        budget="global",
        target_counts=one_more,
    ),
    fault(
        weights.no_layer_is_emptied,
        "the mask keeps no weight (layer collapse); valid: at least one in every layer (tried with",
        step=-1,
        layer="fc3",
        budget="global",
        init_masks=largest_of_all,
    ),
    fault(
        weights.no_layer_is_emptied,
        "(layer collapse); valid: at least one in every layer (tried with 5 weights for 3 layers)",
        step=3,
        layer="fc3",
        update_masks=dying,
    ),
]


def keeping(self, step, layers):
    """Sound, and keeps what it is shown."""
    self.kept, self.old = layers["conv2"], layers["conv2"].mask.clone()
    changes = Sound.update_masks(self, step, layers)
    self.new = changes["conv2"].mask & ~self.old
    return changes


def later(write):
    """An ``nnz_at`` that writes into what an update at step 7 was shown."""

    def nnz_at(self, step):
        if step == 7 and hasattr(self, "kept"):
            write(self)
        return self.target_counts()

    return nnz_at


def pruned_anew(self, step, layers):
    """As many as there should be, at random."""
    counts = self.nnz_at(step)
    return {n: Change(top_k(self.uniform_like(x.mask), counts[n])) for n, x in layers.items()}


def shrinking(self, step):
    """All weights, then after every four steps fewer, then the target."""
    share = max(0.0, 1 - (step + 1) // 4 / 5)
    counts = self.target_counts()
    return {n: round(counts[n] + share * (self.sizes[n] - counts[n])) for n in counts}


ZEROED = [
    *(
        fault(
            weights.nothing_outside_the_masks,
            f"{what} outside the mask are not 0; valid: the trainer alone writes them",
            step=7,
            layer="conv2",
            update_masks=keeping,
            nnz_at=later(lambda self, part=part: getattr(self.kept, part).fill_(1.0)),
        )
        for what, part in (("weights", "weight"), ("momentum", "momentum"))
    ),
    *(
        fault(
            weights.grown_weights_start_at_zero,
            "weights that have just grown do not start at 0 with momentum 0",
            step=7,
            layer="conv2",
            update_masks=keeping,
            nnz_at=later(lambda self, part=part: getattr(self.kept, part).add_(self.new)),
        )
        for part in ("weight", "momentum")
    ),
    fault(
        weights.pruned_weights_stay_pruned,
        "pruned weights return though the total only shrinks; valid: masks inside those before",
        step=7,
        layer="fc1",
        grads="never",
        observe=Method.observe,
        random_growth_at=Method.random_growth_at,
        init_masks=lambda self, layers: {n: x.mask | True for n, x in layers.items()},
        update_masks=pruned_anew,
        nnz_at=shrinking,
    ),
    fault(
        weights.explored_is_the_union,
        "40 weights count as ever active, ",
        step=7,
        layer="conv2",
        update_masks=keeping,
        nnz_at=later(lambda self: self.kept.ever.fill_(True)),
    ),
]


def returning(self, step, layers):
    """Grows what was active before, where there is enough of it."""
    return {
        name: drop_and_grow(x.mask, x.weight.abs(), x.ever.float(), 0.4, ties=self.rng)
        for name, x in layers.items()
    }


def shunning(self, step, layers):
    """Random growth that leaves out most rows of fc1 where it can."""
    uniform = {name: self.uniform_like(x.mask) for name, x in layers.items()}
    uniform["fc1"][:5] -= 1.0
    return {
        name: drop_and_grow(x.mask, x.weight.abs(), uniform[name], 0.4, ties=self.rng)
        for name, x in layers.items()
    }


GROWN = [
    fault(
        weights.random_growth_is_announced,
        "weights grew for the first time, random_growth_at announced 1 of 39; valid: all that",
        step=3,
        layer="fc1",
        random_growth_at=lambda self, step: random_growth(self, 0.1),
    ),
    fault(
        weights.random_growth_is_announced,
        "announced 15 of 3; valid: all that may grow, of candidates among the 48",
        step=3,
        layer="fc1",
        random_growth_at=lambda self, step: dict.fromkeys(self.sizes, (15, 3)),
    ),
    fault(
        weights.random_growth_is_announced,
        "standard deviations from what random_growth_at implies; valid: 4 at most",
        step=19,
        random_growth_at=lambda self, step: random_growth(self, 0.9),
    ),
    fault(
        weights.random_growth_is_announced,
        "standard deviations from what random_growth_at implies",
        step=19,
        update_masks=returning,
    ),
    fault(
        weights.random_growth_is_announced,
        "standard deviations from what random_growth_at implies",
        step=19,
        layer="fc1",
        update_masks=shunning,
    ),
]
FAULTS = [*SHAPED, *COUNTED, *ZEROED, *GROWN]


@pytest.mark.parametrize(("cls", "fields", "holds", "step", "layer", "says", "early"), FAULTS)
def test_masks_that_break_the_contract_are_found(cls, fields, holds, step, layer, says, early):
    require_found(cls, fields, holds, step, layer, says, early)


def test_no_check_cannot_fail():
    shared = (*SETTINGS, *CHANCES, *DRAWS)
    all_faults = (*FAULTS, *STILL, *DECLARED, *WRITES, *shared, *ANSWERS, *COSTS)
    broken = {each.values[2] for each in all_faults} | {holds for holds, *_ in FILED.values()}
    assert broken == {each.holds for each in CHECKS}
