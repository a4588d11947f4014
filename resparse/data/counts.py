"""Does every split have the classes and the number of images that it must have?"""

from collections import Counter
from collections.abc import Mapping, Sequence

Span = tuple[int, int]  # fewest and most images of a class


def duplicate_class(classes: Sequence[str]) -> str | None:
    """The first class name that is there twice, or None.

    >>> duplicate_class(["cat", "dog", "cat"])
    'cat'
    """
    return next((name for name, times in Counter(classes).items() if times > 1), None)


def problems(
    name: str,
    found: Mapping[str, Mapping[str, int]],
    expected: Mapping[str, Span],
    classes: int,
    remedy: str,
) -> list[str]:
    """One sentence for each thing that is wrong in ``found``: split -> class name -> images.

    ``expected`` is by split. A class that one split has must be in all.
    """
    if swapped := _swapped(name, found, expected, remedy):
        return [swapped]
    everywhere = sorted(set().union(*found.values()))
    said = []
    if len(everywhere) != classes:
        said.append(f"{name} has {len(everywhere)} classes; valid: {classes}; {remedy}")
    for split, counts in found.items():
        low, high = expected[split]
        valid = f"valid: {low:,}" if low == high else f"valid: {low:,} to {high:,}"
        for label in everywhere:
            count = counts.get(label, 0)
            if count == 0:
                said.append(
                    f"{name}: class {label} is missing in {split}; {valid} images; {remedy}"
                )
            elif not low <= count <= high:
                said.append(
                    f"{name}: class {label} has {count:,} images in {split}; {valid}; {remedy}"
                )
    return said


def _swapped(
    name: str,
    found: Mapping[str, Mapping[str, int]],
    expected: Mapping[str, Span],
    remedy: str,
) -> str | None:
    """A sentence where each split's counts are the other's."""
    one, other = found  # every dataset has two splits
    fit = all(_fits(found[split], expected[split]) for split in found)
    fit_other = _fits(found[one], expected[other]) and _fits(found[other], expected[one])
    if fit or not fit_other:
        return None
    sizes = " and ".join(f"{sum(found[split].values()):,} in {split}" for split in found)
    return f"{name}: {one} and {other} are swapped ({sizes} images); exchange them, or {remedy}"


def _fits(counts: Mapping[str, int], span: Span) -> bool:
    return bool(counts) and all(span[0] <= count <= span[1] for count in counts.values())
