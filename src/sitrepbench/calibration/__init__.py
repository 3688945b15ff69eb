"""Calibration: probabilities mended by held-out answers about a cell's training rows only."""

from sitrepbench.calibration.calibrators import Isotonic, Platt, Temperature

__all__ = ["Isotonic", "Platt", "Temperature"]
