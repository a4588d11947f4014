"""resparse: whether what the literature says of sparse training holds, number by number."""

__version__ = "0.1.0"
