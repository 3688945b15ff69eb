"""Labelling tomorrow's sentences with a trained model: files in constant memory, and DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sitrepbench.labelling.frames import label_frame
    from sitrepbench.labelling.stream import Labelled, Order, label_file
    from sitrepbench.labelling.workers import ModelSource

__all__ = ["Labelled", "ModelSource", "Order", "label_file", "label_frame"]

_PLACES = {
    "label_frame": "frames",
    "Labelled": "stream",
    "Order": "stream",
    "label_file": "stream",
    "ModelSource": "workers",
}


def __getattr__(name: str) -> Any:
    # Workers import this package before their libraries are told how many threads to take.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
