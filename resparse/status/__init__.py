"""What runs have come to (`resparse status`, `resparse explain KEY`).

``standing`` is one run's, ``standings`` those of a table or a store, ``grid`` their lines.
``lookup`` finds a run by its key; ``explanation`` is one with a record in words, ``unfinished`` one
without.
"""
