"""Sums and maxima over the label paths of many chains at once.

A chain is a run of neighbouring sentences. Rows are packed by their place: first the first row of
every chain, then the second of those that have one, and so on, longer chains first. So a step of
a recursion is one operation on a block of neighbouring rows, and nothing is padded.

Everything is computed in logarithms. The notation is that of Sutton & McCallum, "An Introduction
to Conditional Random Fields" (2012), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.data.dataset import DOCUMENT_ID, POSITION

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chains:
    """The chains of a table, packed.

    Parameters
    ----------
    rows : int ndarray, shape (n_rows,)
        The table's row at every packed place.
    sizes : int ndarray, shape (longest,)
        How many chains have a first, a second, a third ... row.
    """

    rows: Rows
    sizes: Rows

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """Return the chains of a sentence table, whose rows may be in any order.

        A chain ends where a document ends and where a position is missing: what stands behind a
        gap is no neighbour.
        """
        documents, _ = pd.factorize(frame[DOCUMENT_ID])
        positions = frame[POSITION].to_numpy(dtype=np.int64)
        order = np.lexsort((positions, documents))
        starts = np.ones(len(order), dtype=bool)
        starts[1:] = (np.diff(documents[order]) != 0) | (np.diff(positions[order]) != 1)
        chain = np.cumsum(starts) - 1
        first = np.flatnonzero(starts)
        place = np.arange(len(order)) - first[chain]
        lengths = np.bincount(chain, minlength=len(first))
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(-lengths, kind="stable")] = np.arange(len(first))
        packed = np.lexsort((rank[chain], place))
        return cls(order[packed], np.bincount(place, minlength=0))

    @cached_property
    def blocks(self) -> list[slice]:
        """The packed places of all first rows, of all second rows, and so on."""
        ends = np.cumsum(self.sizes)
        return [
            slice(int(end - size), int(end)) for end, size in zip(ends, self.sizes, strict=True)
        ]

    @cached_property
    def links(self) -> tuple[Rows, Rows]:
        """The packed places of every row that has a successor, and of the successors."""
        after = np.arange(self.sizes[0], len(self.rows)) if len(self.sizes) else np.arange(0)
        return after - np.repeat(self.sizes[:-1], self.sizes[1:]), after

    @cached_property
    def last(self) -> Rows:
        """The packed place of the last row of every chain, shape (n_chains,)."""
        ends = np.setdiff1d(np.arange(len(self.rows)), self.links[0])
        chain = np.concatenate([np.arange(size) for size in self.sizes])[ends]
        found = np.empty(len(ends), dtype=np.int64)
        found[chain] = ends
        return found


def log_sum(values: Array, axis: int) -> Array:
    """Return the logarithm of the sum of exponentials along an axis."""
    top = values.max(axis=axis, keepdims=True)
    summed = np.log(np.exp(values - top).sum(axis=axis, keepdims=True)) + top
    return np.asarray(summed.squeeze(axis))


def forward(chains: Chains, scores: Array, transitions: Array) -> Array:
    """Return the log sum over all paths that end in each label at each place.

    Parameters
    ----------
    chains : Chains
        With n_rows packed rows.
    scores : float ndarray, shape (n_rows, n_labels)
        Log factors of the places, packed.
    transitions : float ndarray, shape (n_labels, n_labels)
        Log factors from a label (row) to the next one (column).
    """
    alpha = scores.copy()
    before: Array | None = None
    for block in chains.blocks:
        if before is not None:
            size = block.stop - block.start
            alpha[block] += log_sum(before[:size, :, None] + transitions, axis=1)
        before = alpha[block]
    return alpha


def backward(chains: Chains, scores: Array, transitions: Array) -> Array:
    """Return the log sum over all ways on from each label at each place; shapes as `forward`."""
    beta = np.zeros_like(scores)
    blocks = chains.blocks
    for after, block in pairwise(reversed(blocks)):
        size = after.stop - after.start
        onward = transitions + (scores[after] + beta[after])[:, None, :]
        beta[block.start : block.start + size] = log_sum(onward, axis=2)
    return beta


def best_paths(chains: Chains, scores: Array, transitions: Array) -> Rows:
    """Return the labels of every chain's likeliest path (Viterbi), packed, shape (n_rows,)."""
    blocks = chains.blocks
    best = scores.copy()
    came_from = np.zeros(scores.shape, dtype=np.int64)
    for before, block in pairwise(blocks):
        size = block.stop - block.start
        ways = best[before][:size, :, None] + transitions
        came_from[block] = ways.argmax(axis=1)
        best[block] += ways.max(axis=1)
    labels = best.argmax(axis=1)  # right where a chain ends
    for block, before in pairwise(reversed(blocks)):
        size = block.stop - block.start
        labels[before.start : before.start + size] = came_from[block][
            np.arange(size), labels[block]
        ]
    return np.asarray(labels, dtype=np.int64)
