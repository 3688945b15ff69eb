"""Errors of the program keep their kind while a model works; all others are the model's."""

from __future__ import annotations

import pytest

from sitrepbench.errors import ConfigError, ModelError
from sitrepbench.watching import blaming


def test_an_error_of_the_program_keeps_its_kind_and_says_where() -> None:
    with (
        pytest.raises(ConfigError, match="^dev, repeat 0, fold 1: device=cuda"),
        blaming("Embeddings", "dev, repeat 0, fold 1"),
    ):
        raise ConfigError("device=cuda: there is no GPU")


@pytest.mark.parametrize("error", [ValueError("no rows"), SystemExit(3)])
def test_any_other_error_is_the_models(error: BaseException) -> None:
    with (
        pytest.raises(ModelError, match=r"^SVC failed \(cv\): " + type(error).__name__),
        blaming("SVC", "cv"),
    ):
        raise error
