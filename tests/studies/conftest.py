"""Small tables with all that the studies ask for: splits, conflicts, registers, documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sitrepbench.labels import LABELS

SAID = {
    "casualty_report": "shelling killed {} people and wounded many others near the {}",
    "denial": "officials denied reports of {} strikes on the {} as baseless",
    "negotiation": "envoys met for {} hours of talks on a truce around the {}",
    "evacuation": "buses took {} families from the {} to a camp in the valley",
    "background": "the {} year old road passes an army hill beside the {}",
}
PLACES = ("bridge", "market", "harbour", "school", "mill", "station", "dam")


@pytest.fixture(scope="session")
def make_table(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a table of labelled documents and gives its path."""

    def make(name: str, *, n_documents: int, seed: int, splits: bool = True) -> Path:
        rng = np.random.default_rng(seed)
        rows = []
        for document in range(n_documents):
            split = ("train", "train", "train", "dev", "test", "test_ood")[document % 6]
            for position, label in enumerate(rng.permutation([*LABELS, *LABELS])):
                # Some sentences tell something else than their label, so that scores differ.
                told = label if rng.random() < 0.85 else rng.choice(LABELS)
                said = SAID[told].format(rng.integers(2, 999), rng.choice(PLACES))
                rows.append(
                    {
                        "document_id": f"{name}{document:03}",
                        "position": position,
                        "text": f"{said} on day {rng.integers(9_999)} of {name}",
                        "label": label,
                        "domain": ("north", "south")[document // 6 % 2],
                        "register": ("wire", "blog")[document % 2],
                        "split": split,
                    }
                )
        file = tmp_path_factory.mktemp("tables") / f"{name}.csv"
        table = pd.DataFrame(rows)
        (table if splits else table.drop(columns="split")).to_csv(file, index=False)
        return file

    return make


@pytest.fixture(scope="session")
def make_humaid() -> Callable[[Path, Sequence[str]], Path]:
    """Return a function that writes small events in the format of HumAID, with invented tweets."""
    said = {
        "injured_or_dead_people": "{} people died near the {}",
        "displaced_people_and_evacuations": "families left the {1} in {0} buses",
        "rescue_volunteering_or_donation_effort": "give {} dollars for the {} relief",
        "not_humanitarian": 'watch "my show about the {1} at {0}',
    }

    def make(folder: Path, events: Sequence[str]) -> Path:
        rng = np.random.default_rng(4)
        number = 10**9
        for event in events:
            (folder / event).mkdir(parents=True)
            for split, size in (("train", 40), ("dev", 16), ("test", 16)):
                lines = ["tweet_id\ttweet_text\tclass_label"]
                for row in range(size):
                    number += 1
                    label = list(said)[row % len(said)]
                    text = said[label].format(rng.integers(2, 999), rng.choice(PLACES))
                    lines.append(f"{number}\tRT @someone: {text} #{event} &amp; more\t{label}")
                text = "\n".join(lines) + "\n"
                (folder / event / f"{event}_{split}.tsv").write_text(text, encoding="utf-8")
        return folder

    return make
