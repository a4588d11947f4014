"""A table's report: from records to what is printed and written.

``cells`` makes them of records and exact numbers, each with its verdict; ``report`` puts the lines
above them, and ``section`` parts beside them (``rs_section``, by what ``rs_fit`` finds); ``render``
is all of it as text, and ``files`` writes it.
"""
