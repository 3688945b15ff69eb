"""Tuning: how a model's settings are chosen, inside the training rows of a cell only."""

from sitrepbench.tuning.optuna_search import OptunaSearch
from sitrepbench.tuning.searches import Given, GridSearch, RandomSearch

__all__ = ["Given", "GridSearch", "OptunaSearch", "RandomSearch"]
