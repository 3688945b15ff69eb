"""What the tests of sweeps share: a small table, composed runs, waiting with a deadline."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from sitrepbench.config.compose import compose_with, hydra_session
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.labels import LABELS
from sitrepbench.preparing import forget_data

# Workers find `errands` by the path that they take over from this process.
sys.path.insert(0, str(Path(__file__).parent))

Value = TypeVar("Value")
Compose = Callable[..., RunConfig]
WORDS = ("killed wounded", "denied baseless", "talks truce", "fled camp", "army hill")


def wait_for(look: Callable[[], Value], seconds: float = 60.0) -> Value:
    """Return what ``look`` gives as soon as that is true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing in {seconds:g} s"
        time.sleep(0.01)
    return found


def write_table(file: Path, documents: int) -> Path:
    """Write a table of documents with one sentence per label."""
    lines = ["doc_id,text,label"]
    for document in range(documents):
        for number, (label, said) in enumerate(zip(LABELS, WORDS, strict=True)):
            noise = (document * 37 + number * 11) % 89
            lines.append(f"d{document},{said} {document} {noise} in the town,{label}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture(name="wait_for", scope="session")
def _wait_for() -> Callable[..., object]:
    return wait_for


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve documents with a sentence per label."""
    return write_table(tmp_path_factory.mktemp("table") / "mine.csv", 12)


@pytest.fixture(scope="session")
def _composed(table: Path) -> Iterator[Callable[[Sequence[str]], RunConfig]]:
    found: dict[tuple[str, ...], RunConfig] = {}
    with hydra_session() as hydra:

        def compose(overrides: Sequence[str]) -> RunConfig:
            key = tuple(overrides)
            if key not in found:
                common = [f"dataset.path={table}", "protocol.n_folds=2", "tracking=none"]
                common.append("executor=serial")
                found[key] = check_config(compose_with(hydra, [*common, *key]))
            return found[key]

        yield compose


@pytest.fixture
def compose(_composed: Callable[[Sequence[str]], RunConfig], tmp_path: Path) -> Iterator[Compose]:
    """Return a function from overrides to a run's configuration, with results below `tmp_path`."""
    forget_data()

    def call(*overrides: str) -> RunConfig:
        config = _composed(overrides)
        tree = {**config.tree, "results_dir": str(tmp_path / "results")}
        return replace(config, tree=tree, overrides=overrides)

    yield call
    forget_data()
