"""How the papers train, value by value.

``protocol`` is that as data, ``check`` holds it against runs, ``listing`` shows it.
"""
