"""Datasets: cards, verified loading, and one report of everything that is wrong with a file."""

from sitrepbench.data.dataset import Dataset
from sitrepbench.data.huggingface import load_huggingface
from sitrepbench.data.shipped import load_card_dataset, load_shipped
from sitrepbench.data.table import load_frame, load_table

__all__ = [
    "Dataset",
    "load_card_dataset",
    "load_frame",
    "load_huggingface",
    "load_shipped",
    "load_table",
]
