"""What the first of several processes decides, and what it fails at, all of them know."""

from types import SimpleNamespace

import torch
from ranks import together

from resparse import distributed
from resparse.consensus import decided
from resparse.errors import RunFailed
from resparse.masks import Change, NonFinite


def test_what_the_first_decides_and_remembers_is_known_to_all(tmp_path):
    """Masks, resets, which layers were kept alive, and the method's state, a new part included."""

    def work(rank):
        method = SimpleNamespace(state={"seen": torch.tensor([rank])})

        def ask():
            assert rank == 0
            method.state["counts"] = torch.tensor([3, 5])
            mask = torch.tensor([True, False, True])
            return {"a": Change(mask, reset=~mask), "b": Change(mask, starved=True)}

        changes = decided(method, torch.device("cpu"), ask)
        said = {name: value.tolist() for name, value in method.state.items()}
        told = {n: [c.mask.tolist(), c.reset is not None, c.starved] for n, c in changes.items()}
        return [said, told, changes["a"].reset.tolist()]

    said = together(2, tmp_path / "a", work)
    assert said[0] == said[1]
    kept = [True, False, True]
    assert said[1] == [
        {"seen": [0], "counts": [3, 5]},
        {"a": [kept, True, False], "b": [kept, False, True]},
        [False, True, False],
    ]


def test_what_cannot_be_scored_ends_all(tmp_path):
    """A score of the first process that is no number is no silence for the others."""

    def work(rank):
        def ask():
            raise NonFinite("a score is NaN")

        try:
            decided(SimpleNamespace(state={}), torch.device("cpu"), ask)
        except NonFinite as error:
            return str(error)

    assert together(2, tmp_path / "a", work) == ["a score is NaN"] * 2


def test_an_error_of_the_first_is_one_of_all(tmp_path):
    def work(rank):
        def ask():
            raise RunFailed("no such parent")

        return distributed.agreed(ask)

    assert together(2, tmp_path / "a", work) == [
        "RunFailed: no such parent",
        "PeerLost: the first of 2 processes failed: RunFailed: no such parent",
    ]


def test_a_process_alone_decides_whatever_number_its_environment_gives_it(monkeypatch):
    """Batch systems set RANK too; only who joined others is one of several."""
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert distributed.first()
    assert distributed.world() == 1
