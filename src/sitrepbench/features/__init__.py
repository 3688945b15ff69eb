"""Features: scikit-learn transformers that read columns of the sentence table."""

from sitrepbench.features.context import Context
from sitrepbench.features.counts import word_count
from sitrepbench.features.cues import HandMadeCues
from sitrepbench.features.embeddings import Embeddings, embeddings_tfidf
from sitrepbench.features.hashing import hashing
from sitrepbench.features.latent import LatentSemantics, lsa
from sitrepbench.features.tfidf import char_tfidf, word_char_tfidf, word_tfidf
from sitrepbench.features.union import SideBySide, word_char_cues

__all__ = [
    "Context",
    "Embeddings",
    "HandMadeCues",
    "LatentSemantics",
    "SideBySide",
    "char_tfidf",
    "embeddings_tfidf",
    "hashing",
    "lsa",
    "word_char_cues",
    "word_char_tfidf",
    "word_count",
    "word_tfidf",
]
