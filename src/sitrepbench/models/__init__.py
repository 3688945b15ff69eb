"""Models of the project's own; any other scikit-learn classifier is named in a YAML by path."""

from sitrepbench.models.calibrated import Calibrated
from sitrepbench.models.centroid import CosineCentroid
from sitrepbench.models.chain_crf import ChainCRF
from sitrepbench.models.chance import StratifiedChance
from sitrepbench.models.ensembles import Stacking, Voting, part, stacking, voting
from sitrepbench.models.folds import DocumentFolds
from sitrepbench.models.keywords import KeywordRules
from sitrepbench.models.majority import MajorityClass
from sitrepbench.models.nbsvm import NBSVM
from sitrepbench.models.network import Perceptron
from sitrepbench.models.zero_shot import LabelDescription

__all__ = [
    "NBSVM",
    "Calibrated",
    "ChainCRF",
    "CosineCentroid",
    "DocumentFolds",
    "KeywordRules",
    "LabelDescription",
    "MajorityClass",
    "Perceptron",
    "Stacking",
    "StratifiedChance",
    "Voting",
    "part",
    "stacking",
    "voting",
]
