"""Classes and counts: missing, too few, too many, swapped; and images that are there twice."""

import hashlib

import pytest

from resparse.data import counts, duplicates

SPANS = {"train": (5, 5), "val": (2, 2)}
GOOD = {"train": {"cat": 5, "dog": 5}, "val": {"cat": 2, "dog": 2}}


def problems(found, spans=SPANS):
    return counts.problems("pets", found, spans, 2, "get it again")


def test_what_is_right_has_no_problem():
    assert problems(GOOD) == []
    assert problems({"train": {"a": 4, "b": 6}, "val": {"a": 5, "b": 5}},
                    {"train": (4, 6), "val": (5, 5)}) == []  # fmt: skip


def test_equal_spans_are_not_swapped():
    same = {"train": {"a": 2, "b": 2}, "val": {"a": 2, "b": 2}}
    assert problems(same, {"train": (2, 2), "val": (2, 2)}) == []


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        ({"cat": 2, "dog": 2}, {"cat": 5, "dog": 5},
         ["pets: train and val are swapped (4 in train and 10 in val images); exchange them, or "
          "get it again"]),
        ({"cat": 5, "dog": 5}, {"cat": 2},
         ["pets: class dog is missing in val; valid: 2 images; get it again"]),
        ({"cat": 5}, {"cat": 2}, ["pets has 1 classes; valid: 2; get it again"]),
        ({"cat": 5, "dog": 5, "emu": 5}, {"cat": 2, "dog": 2, "emu": 2},
         ["pets has 3 classes; valid: 2; get it again"]),
        ({"cat": 4, "dog": 6}, {"cat": 2, "dog": 2},
         ["pets: class cat has 4 images in train; valid: 5; get it again",
          "pets: class dog has 6 images in train; valid: 5; get it again"]),
        ({"cat": 5, "dog": 5}, {"cat": 2, "dog": 0},
         ["pets: class dog is missing in val; valid: 2 images; get it again"]),
    ],
    ids=["swapped", "missing", "missing everywhere", "one more", "off", "none"],
)  # fmt: skip
def test_every_problem_is_a_sentence(train, val, said):
    assert problems({"train": train, "val": val}) == said


def test_a_span_is_named():
    found = {"train": {"cat": 9, "dog": 5}, "val": {"cat": 2, "dog": 2}}
    (said,) = problems(found, {"train": (3, 6), "val": (2, 2)})
    assert said == "pets: class cat has 9 images in train; valid: 3 to 6; get it again"


def test_duplicate_classes():
    assert counts.duplicate_class(["a", "b", "c", "b", "a"]) == "a"
    assert counts.duplicate_class([]) is None


def digests(text):
    return b"".join(hashlib.sha256(c.encode()).digest()[:16] for c in text)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("abcdef", []),
        ("", []),
        ("a", []),
        ("abca", [(0, 3)]),
        ("abab", [(0, 2), (1, 3)]),
        ("baaab", [(1, 2), (2, 3), (0, 4)]),
    ],
)
def test_pairs_of_equal_images(text, pairs):
    assert duplicates.pairs(digests(text)) == pairs


def test_digests_that_agree_in_half_are_not_equal():
    assert duplicates.pairs(b"a" * 8 + b"b" * 8 + b"a" * 8 + b"c" * 8) == []
    assert duplicates.pairs(b"b" * 8 + b"a" * 8 + b"c" * 8 + b"a" * 8) == []


def test_the_pair_is_named():
    pair = [("train/1.jpg", "val/7.jpg")]
    (said,) = duplicates.sentences("pets", pair, "get it again", acceptable=False)
    assert said == (
        "pets: val/7.jpg is the same image as train/1.jpg; valid: every image once; get it again"
    )
    (more,) = duplicates.sentences("pets", pair, "get it again", acceptable=True)
    assert more.startswith(f"{said}, or accept them with --accept-duplicates, ")
