"""Models of the project's own; any other scikit-learn classifier is named in a YAML by path."""

from sitrepbench.models.keywords import KeywordRules
from sitrepbench.models.majority import MajorityClass

__all__ = ["KeywordRules", "MajorityClass"]
