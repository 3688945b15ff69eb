"""The types that a saved model may be made of, beyond those that skops trusts by itself.

Every one is spelled out. skops builds an object without calling its ``__init__`` and sets its
attributes; so each type here was read for what its attributes can do. A type that is not here is
refused, also one of this program's: the prefix of a module says nothing about what lies in it.

A fine-tuned network names an encoder too, but reads nothing from there once it is fitted: it holds
its weights as safetensors, which `sitrepbench.finetuning.network.unpacked` takes for anybody's.
"""

from __future__ import annotations

#: This program's own transformers, models and values, and a function from a text to a text. Those
#: that read an encoder hold its name and a digest; `sitrepbench.trained.encoders` reads nothing
#: from there unless who loads the model names it as well.
OWN = frozenset(
    {
        "sitrepbench.features.context.Context",
        "sitrepbench.features.cues.HandMadeCues",
        "sitrepbench.features.embeddings.Embeddings",
        "sitrepbench.features.embeddings.EmbeddingsBeside",
        "sitrepbench.features.latent.LatentSemantics",
        "sitrepbench.features.tweets.clean_tweet",
        "sitrepbench.features.union.SideBySide",
        "sitrepbench.finetuning.classifier.FineTuned",
        "sitrepbench.models.calibrated.Calibrated",
        "sitrepbench.models.centroid.CosineCentroid",
        "sitrepbench.models.chain_crf.ChainCRF",
        "sitrepbench.models.chain_crf.Weights",
        "sitrepbench.models.chance.StratifiedChance",
        "sitrepbench.models.ensembles.Stacking",
        "sitrepbench.models.ensembles.Voting",
        "sitrepbench.models.keywords.KeywordRules",
        "sitrepbench.models.majority.MajorityClass",
        "sitrepbench.models.nbsvm.NBSVM",
        "sitrepbench.models.zero_shot.LabelDescription",
    }
)

#: Private parts of libraries that skops does not know: data and arithmetic, no calls by name.
LIBRARY = frozenset(
    {
        "scipy.sparse._csr.csr_matrix",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
    }
)

TRUSTED = OWN | LIBRARY
