"""The page of a paper from committed records: what was reproduced, what was not, by which runs.

``model`` gathers everything (``pieces`` the tables and figures, ``shortfall`` what is not run);
``html``, ``markdown``, ``latex`` and ``flat`` are its forms and compute nothing; ``details`` is
what the HTML opens, as JSON.
"""
