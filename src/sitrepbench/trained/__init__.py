"""Trained models: a pipeline fitted on all its training rows, as a folder that runs no code."""

from sitrepbench.trained.loading import load_trained
from sitrepbench.trained.model import TrainedModel

__all__ = ["TrainedModel", "load_trained"]
