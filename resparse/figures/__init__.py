"""A paper's figures: panels that are reproduced like tables, and how they are drawn together.

``figure`` is one as data, ``reproduce`` its command; ``draw`` begins the picture and hands each
panel to its kind (``lines``, ``bars``, ``sweeps``); ``style`` is what all lines share.
"""
