"""Fine-tuning of pretrained encoders; torch is imported where one is fitted."""

from sitrepbench.finetuning.classifier import FineTuned

__all__ = ["FineTuned"]
