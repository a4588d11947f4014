"""The papers' claims: what each says as data, and what the records say of it.

``benchmarks/<paper>/claims/*.toml`` hold the claims (``claim``, ``part``); an artifact hands over
``evidence``: cells at ``point``s, and which points it planned; ``judge`` finds the cells that each
part means (``view``), compares them (``contrast``; ``shapes`` and ``sweeps`` know the kinds) and
joins the comparisons (``support``). ``printed`` makes evidence of the paper's own tables, and
``listing`` shows all of it.
"""
