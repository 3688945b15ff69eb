"""Whether a fine-tuning's settings make sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sitrepbench.errors import ModelError

_CHOICES: Mapping[str, Sequence[Any]] = {
    "head": ("mean", "own"),
    "choose_by": ("macro_f1", "loss"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
    "class_weight": ("balanced", None),
}
_LEAST = {"epochs": 1, "patience": 1, "batch_size": 1, "accumulate": 1, "max_length": 4}
#: Parameters from 0 to so much.
_SHARES = {"dev_share": 0.5, "trained_share": 1.0, "warmup": 1.0, "dropout": 0.9}


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings of `sitrepbench.finetuning.FineTuned` that make no sense.

    Raises
    ------
    ModelError
        With all that is wrong.
    """
    problems = [
        f"{name} is one of {', '.join(map(str, options))}, found {settings[name]!r}"
        for name, options in _CHOICES.items()
        if settings[name] not in options
    ]
    for name, least in _LEAST.items():
        if not settings[name] >= least:
            problems.append(f"{name} is {least} or more, found {settings[name]}")
    if settings["tuned_layers"] is not None and not settings["tuned_layers"] >= 1:
        problems.append(f"tuned_layers is 1 or more, or null, found {settings['tuned_layers']}")
    if not settings["learning_rate"] > 0:
        problems.append(f"learning_rate is above 0, found {settings['learning_rate']}")
    if not settings["weight_decay"] >= 0:
        problems.append(f"weight_decay is 0 or more, found {settings['weight_decay']}")
    for name, most in _SHARES.items():
        if not 0 <= settings[name] <= most:
            problems.append(f"{name} is from 0 to {most:g}, found {settings[name]}")
    if problems:
        raise ModelError("fine-tuning: " + "; ".join(problems))
