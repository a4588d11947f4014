"""What a row of a table may say of the others: its sparsities, and the row it starts from."""

from resparse import registry
from resparse.errors import UsageError
from resparse.table import Artifact, Row


def check_row(table: Artifact, row: Row) -> None:
    """Raise UsageError unless its sparsities are the table's, and its parent a sound row."""
    for sparsity in row.sparsities:
        if sparsity not in table.sparsities:
            valid = ", ".join(map(str, table.sparsities))
            raise UsageError(f"sparsities has {sparsity}; valid: {valid}, the table's")
    _check_parent(table, row)


def _check_parent(table: Artifact, row: Row) -> None:
    """Raise UsageError unless the row has a parent where its method needs one, and a sound one."""
    needed = registry.load(row.method).needs_parent
    if row.parent is None:
        if needed:
            raise UsageError(
                f"parent is missing, method {row.method} starts from another row's run; "
                "valid: parent = { row = ..., at = ... }"
            )
        return
    chain = [row.label]
    above: Row | None = row
    while above is not None and above.parent is not None:
        above = table.row(above.parent.row)
        chain.append(above.label)
        if above.label in chain[:-1]:
            raise UsageError(
                f"parent leads back to itself, {' -> '.join(chain)}; valid: another row"
            )
    if not needed:
        raise UsageError(
            f"parent = {row.parent.row!r}; valid: none, method {row.method} starts from scratch"
        )
    parent = table.row(row.parent.row)
    if row.parent.at not in (0.0, *parent.snapshots):  # at 0 the seed draws the weights again
        kept = ", ".join(map(str, parent.snapshots)) or "none"
        raise UsageError(
            f"parent {parent.label} keeps no snapshot at = {row.parent.at}; valid: {kept}"
        )
    ranked = registry.load(row.method).budget == "global"  # it prunes the parent's weights itself
    if not ranked and parent.distribution != row.distribution:  # its final masks are this row's
        raise UsageError(
            f"distribution = {row.distribution!r}; valid: {parent.distribution!r}, that of its "
            f"parent {parent.label}"
        )
