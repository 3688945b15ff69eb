"""Articles: text that is not yet segmented, read from files and cut into sentences."""

from sitrepbench.articles.segments import KINDS, Segment, segment
from sitrepbench.articles.splitting import split_sentences

__all__ = ["KINDS", "Segment", "segment", "split_sentences"]
