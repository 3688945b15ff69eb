"""Features: scikit-learn transformers that read columns of the sentence table."""

from sitrepbench.features.tfidf import char_tfidf, word_char_tfidf, word_tfidf

__all__ = ["char_tfidf", "word_char_tfidf", "word_tfidf"]
