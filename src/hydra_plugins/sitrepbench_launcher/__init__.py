"""Hydra's plugins for ``sitrepbench run -m``: a sweeper that expands, a launcher that hands over.

Hydra imports every module here at every start, whatever is asked for, so they import nothing but
Hydra; and it runs each once more if this one imports it, so this one does not.
"""
