"""Our own records that later ones are held against: how they are made, kept and used.

``freeze`` makes them, ``lines`` reads them and says what a change means; ``retrain`` is the command
`regression`, which trains the panel anew, and ``regression`` says what got worse.
"""
