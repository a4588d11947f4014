"""Times, measured here and said with their limits: a module each `resparse bench NAME`.

``masks`` what a method adds to a step, ``step`` dense beside masked steps, ``engines`` sparse
beside masked ones, ``replicates`` stacked runs, ``memory`` a step's memory, ``loaders`` images.
"""
