"""Fitted features that are kept for the next run on the same rows: in memory and, if dear, on disk.

Reuse decides nothing: with or without it a run gives the same bytes. What is kept is what the
features step made of one cell, under a name that covers everything that decides it.
"""

from sitrepbench.reuse.disk import DiskCache
from sitrepbench.reuse.memory import FittedFeatures
from sitrepbench.reuse.transformed import CellName, Transformed

__all__ = ["CellName", "DiskCache", "FittedFeatures", "Transformed"]
