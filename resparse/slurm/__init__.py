"""Runs on a cluster.

``cluster`` is what is asked of it, ``arrays`` what is submitted, ``job`` what runs there.
"""
