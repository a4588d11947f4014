"""A new method beside the baselines of a panel (`resparse compare FILE`).

``panel`` who is compared on what; ``baseline`` the stored records; ``plan`` what is trained;
``comparison`` and ``contest`` the numbers, ``tries`` their price; ``page``, ``tables`` and
``pareto`` what is written; ``command`` all of it in turn.
"""
