"""The algorithms, one module each; the file's name is the method's name."""
