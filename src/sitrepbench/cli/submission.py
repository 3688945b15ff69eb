"""``sitrepbench submission``: check a predictions file with its card; nothing is scored."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sitrepbench.cli.lines import paragraph_lines, print_lines
from sitrepbench.comparison.file_looks import file_key
from sitrepbench.comparison.files import read_predictions
from sitrepbench.comparison.gold import find_dataset, gold_of_dataset
from sitrepbench.comparison.submissions import CARD_FIELDS, read_submission
from sitrepbench.errors import ConfigError, DataError
from sitrepbench.predictions import REPEAT


def submission_command(parsed: argparse.Namespace) -> int:
    """Check a submission and return the exit code: 0 only if it can be ranked.

    Only ids, labels and probabilities are looked at, so it is no look at a test split.

    Raises
    ------
    DataError
        With everything that is wrong with the card or, once that is right, with its predictions.
    """
    path = Path(parsed.card).expanduser()
    card = read_submission(path)
    try:
        gold = gold_of_dataset(find_dataset(card.dataset, beside=path.parent), card.part)
    except (ConfigError, DataError) as error:
        raise DataError(f"{path}: {error}") from error
    table = read_predictions(card.predictions, gold)
    told: dict[str, Any] = {
        "card": {name: str(getattr(card, name)) for name in CARD_FIELDS},
        "dataset": {"name": gold.dataset, "digest": gold.digest},
        "part": gold.part,
        "test_splits": list(gold.test_splits),
        "n_sentences": len(gold.frame),
        "n_documents": gold.n_documents,
        "n_repeats": int(table.frame[REPEAT].nunique()),
        "probabilities": table.has_probabilities,
        "key": file_key(card.predictions),
        "can_be_ranked": True,
    }
    if parsed.json:
        print(json.dumps(told, indent=1, ensure_ascii=False))
        return 0
    repeats = f", {told['n_repeats']} repeats" if told["n_repeats"] > 1 else ""
    has = "with" if told["probabilities"] else "without"
    lines = [
        *paragraph_lines(f"{card.name} by {card.authors}: {card.description}"),
        f"{gold.dataset}, part {gold.part}: {len(gold.frame):,} sentences, "
        f"{gold.n_documents:,} documents{repeats}, {has} probabilities",
        "The submission can be ranked.",
    ]
    if gold.test_splits:
        lines += paragraph_lines(
            "Scoring it is a look at a test split, and needs --reason TEXT; checking it is none."
        )
    print_lines(lines)
    return 0
