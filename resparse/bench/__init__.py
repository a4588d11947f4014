"""Times, measured here and held to limits: one module for each `resparse bench NAME`.

``masks`` what a method adds to a step, ``step`` dense beside masked steps, ``engines`` sparse
beside masked ones (``engines_plot`` its picture), ``replicates`` runs that are trained together,
``memory`` the loader of images that fit into memory, ``loaders`` FFCV beside torch's.
"""
