"""Cleaned tweets, and the features made of them."""

from __future__ import annotations

import pandas as pd
import pytest

from sitrepbench.features.tweets import clean_tweet, tweet_tfidf


@pytest.mark.parametrize(
    ("tweet", "words"),
    [
        ("Roads closed: https://t.co/aB1?x=y now", "roads closed now"),
        ("see www.example.org/a and HTTP://EXAMPLE.ORG", "see and"),
        ("RT @SomeOne: thanks", "thanks"),
        ("RT\u00a0@a thanks", "thanks"),
        (".@a @b_1 thanks", "thanks"),
        ("mail me@home", "mail me home"),
        ("ART and sPORT stay", "art and sport stay"),
        ("Food &amp; water &lt;3", "food water"),
        ("3,000 people in 12days", "people in days"),
        ("#PrayFor_Kerala \U0001f64f", "prayfor kerala"),
        ("\u0939\u093e\u0925 & \u00dcBUNG", "\u0939 \u0925 \u00fcbung"),
        ("https://t.co/x @a 12 !!!", ""),
        ("", ""),
    ],
)
def test_what_is_left_of_a_tweet(tweet: str, words: str) -> None:
    assert clean_tweet(tweet) == words


def test_features_are_one_to_three_words_of_the_clean_text() -> None:
    frame = pd.DataFrame({"text": ["RT @a: six people died https://t.co/x", "6 people left!"]})
    step = tweet_tfidf().fit(frame)
    assert set(step.get_feature_names_out()) == {
        "tweet__six", "tweet__people", "tweet__died", "tweet__left", "tweet__six people",
        "tweet__people died", "tweet__people left", "tweet__six people died",
    }  # fmt: skip
    assert step.transform(frame).shape == (2, 8)
