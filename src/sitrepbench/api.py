"""Runs from Python: `run` is what ``sitrepbench run`` does for one configuration."""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sitrepbench.cli.outcome import Finished, log_finished
from sitrepbench.config.compose import as_named, compose
from sitrepbench.config.objects import object_node
from sitrepbench.config.run_config import RunConfig, check_config
from sitrepbench.config.targets import TARGET
from sitrepbench.data.card import CARD_FILE
from sitrepbench.data.table import load_frame
from sitrepbench.errors import ConfigError, TrackingError
from sitrepbench.metrics.summary import Summary
from sitrepbench.preparing import prepare
from sitrepbench.resources import resource_folder
from sitrepbench.reuse.memory import FittedFeatures
from sitrepbench.runs import Obtained, obtain
from sitrepbench.store.record import RunRecord
from sitrepbench.store.results import ResultsStore
from sitrepbench.store.tables import TABLES_FOLDER, StoredTable
from sitrepbench.told import summarise_parts

__all__ = ["Result", "run"]


@dataclass(frozen=True, repr=False)
class Result:
    """What came of a run.

    Parameters
    ----------
    record : RunRecord
        As the results store has it: configuration, environment, timings, notes.
    cached : bool
        Whether it was taken from the store.
    summaries : dict
        By part, every score, interval and table.
    """

    record: RunRecord
    cached: bool
    summaries: dict[str, Summary]

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """The headline metrics by part, such as ``scores["dev"]["macro_f1"]``."""
        return self.record.scores

    @property
    def predictions(self) -> pd.DataFrame:
        """One row per scored sentence and repeat; see `PredictionsTable`."""
        return self.record.predictions().frame

    def __repr__(self) -> str:
        scores = ", ".join(
            f"{part} macro-F1 {metrics['macro_f1']:.3f}" for part, metrics in self.scores.items()
        )
        how = "from the store" if self.cached else "computed"
        return f"<Result {self.record.key} {self.record.run_name!r}: {scores}; {how}>"


def run(
    *overrides: str,
    model: Any = None,
    features: Any = None,
    dataset: str | Path | pd.DataFrame | None = None,
    results_dir: str | Path | None = None,
    config_dirs: Sequence[str | Path] = (),
) -> Result:
    """Run one configuration, or take it from the results store, and log it.

    Parameters
    ----------
    *overrides : str
        As on the command line of ``sitrepbench run``: ``"protocol=official"``, ``"model.C=1"``,
        ``"tracking=none"``.
    model : str, class, estimator or None
        The name of a choice; or a class, or an unfitted object of one, that scikit-learn can
        clone. A class must stand at the top of a module or of your session.
    features : str, class, transformer or None
        Likewise.
    dataset : str, Path, DataFrame or None
        The name of a dataset that the program brings or that ``config_dirs`` describe; the path
        of a table or of a card; or a table of labelled sentences, of which the results store
        keeps a copy, so that the run can be repeated.
    results_dir : str, Path or None
        The results store; by default ``results`` in the current folder.
    config_dirs : sequence of str or Path
        Folders of your own config groups.

    Returns
    -------
    Result

    Raises
    ------
    SitrepBenchError
        As the command line tells it; see the subclasses. What MLflow refuses is a warning, for
        the run itself is safe.

    Examples
    --------
    >>> import sitrepbench, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = sitrepbench.run(
    ...         "protocol=score", "tracking=none", "unlock.reason=an example",
    ...         model="keyword_rules", dataset="seeds", results_dir=folder,
    ...     )
    >>> round(result.scores["test"]["macro_f1"], 3)
    0.716
    """
    table = StoredTable.of(dataset) if isinstance(dataset, pd.DataFrame) else None
    source = table if isinstance(dataset, pd.DataFrame) else dataset
    given = _Given(model, features, source, tuple(config_dirs))
    words = list(overrides)
    if results_dir is not None:
        words.insert(0, f"results_dir={quoted(str(Path(results_dir).expanduser().absolute()))}")
    # A tuner searches among what stands in the configuration, and an override names it.
    tuned = any(word.lstrip("+").startswith("tuner") for word in overrides)
    config = _configured(given, words, defaults=tuned)
    if tuned != (config.tree["tuner"].get(TARGET) is not None):
        config = _configured(given, words, defaults=not tuned)
    _check_executor(config)
    if table is not None:
        config = _with_table(config, dataset, table)
    store = ResultsStore(config.results_dir)
    obtained = obtain(prepare(config), store, fitted=FittedFeatures(0, folder=store.folder))
    return _result(config, obtained)


@dataclass(frozen=True)
class _Given:
    """What a call names by arguments, a table as the file that it will be."""

    model: Any
    features: Any
    dataset: str | Path | StoredTable | None
    config_dirs: tuple[str | Path, ...]


def _configured(given: _Given, overrides: list[str], *, defaults: bool) -> RunConfig:
    """Compose; with ``defaults`` the model's node holds its arguments at their defaults too."""
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as folder:
        own = Path(folder)
        chosen = [
            *_chosen("model", given.model, own, defaults=defaults),
            *_chosen("features", given.features, own),
            *_dataset(given.dataset, given.config_dirs, own),
        ]
        return _composed([*chosen, *overrides], [*map(Path, given.config_dirs), own])


def quoted(text: str) -> str:
    r"""Return a text as Hydra's grammar takes it whatever it holds.

    >>> print(quoted("it's"))
    'it\'s'
    """
    if "${" in text:
        raise ConfigError(f"{text}: '${{' stands for an interpolation; use another name")
    return "'" + text.replace("\\'", "\\\\'").replace("'", "\\'") + "'"


def _chosen(group: str, given: Any, own: Path, *, defaults: bool = False) -> list[str]:
    """Return the override that chooses something; an object is written into a choice of its own."""
    if given is None:
        return []
    if isinstance(given, str):
        return [f"{group}={given}"]
    name = (given if isinstance(given, type) else type(given)).__name__
    node = object_node(given, what=group, defaults=defaults)
    return [_own_choice(group, name, node, own)]


def _own_choice(group: str, name: str, node: dict[str, Any], own: Path) -> str:
    """Write a choice of a group into a folder, and return the override that takes it."""
    while (resource_folder("conf") / group / f"{name}.yaml").exists():
        name += "_"
    (own / group).mkdir()
    file = own / group / f"{name}.yaml"
    file.write_text(yaml.safe_dump(node, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return f"{group}={name}"


def _dataset(
    given: str | Path | StoredTable | None, config_dirs: Sequence[str | Path], own: Path
) -> list[str]:
    if given is None:
        return []
    if isinstance(given, StoredTable):
        stored = f"${{results_dir}}/{TABLES_FOLDER}/{given.file}"
        return ["dataset=table", f'dataset.path="{stored}"', "dataset.name=frame"]
    folders = [resource_folder("conf"), *map(Path, config_dirs)]
    files = [file for folder in folders for file in (folder / "dataset").glob("*.yaml")]
    choices = {file.stem for file in files}
    if isinstance(given, str) and given in choices:
        return [f"dataset={given}"]
    path = Path(given).expanduser().absolute()
    if path.is_dir() and (path / CARD_FILE).is_file():
        path = path / CARD_FILE
    if path.suffix in (".yaml", ".yml"):
        node = {"_target_": "sitrepbench.data.load_card_dataset", "card_path": str(path)}
        return [_own_choice("dataset", "card", node, own)]
    if not path.suffix and not path.exists():
        # Those that are whole by their name alone.
        known = ", ".join(sorted({f.stem for f in files if "???" not in f.read_text("utf-8")}))
        raise ConfigError(f"dataset={given}: no such dataset and no such file. Known: {known}")
    return ["dataset=table", f"dataset.path={quoted(str(path))}"]


def _with_table(config: RunConfig, frame: Any, table: StoredTable) -> RunConfig:
    """Write a sound table into the results store, and return the configuration that reads it."""
    rules = inspect.signature(load_frame).parameters.keys() - {"frame"}
    node = config.tree["dataset"]
    # Refused tables leave nothing behind.
    load_frame(frame, **{key: node[key] for key in rules & node.keys() if node[key] is not None})
    path = table.write(config.results_dir)
    return replace(
        config,
        tree={**config.tree, "dataset": {**config.tree["dataset"], "path": str(path)}},
    )


def _composed(overrides: list[str], config_dirs: list[Path]) -> RunConfig:
    given = as_named(overrides)
    try:
        composed = compose(given, config_dirs=config_dirs)
    except ConfigError as error:
        if "--multirun" not in str(error):
            raise
        composed = None
    if composed is None or "MULTIRUN" in str(composed.hydra.mode):
        raise ConfigError(
            "sitrepbench.run computes one configuration: give every key one value. For a sweep "
            "or a study use the command line, 'sitrepbench run -m ...'"
        )
    return check_config(composed)


def _check_executor(config: RunConfig) -> None:
    """Refuse what only the command line's sweeps obey."""
    if config.build("executor").elsewhere:
        raise ConfigError(
            f"executor={config.names['executor']}: sitrepbench.run computes in this process; use "
            "the command line, 'sitrepbench run executor=...'"
        )
    if config.tree["executor"].get("time_limit") is not None:
        raise ConfigError(
            "executor.time_limit is for sweeps, whose processes can be ended; use the command "
            "line, 'sitrepbench run -m ...'"
        )


def _result(config: RunConfig, obtained: Obtained) -> Result:
    record = obtained.record
    try:
        log_finished([Finished(config, record, obtained.cached)])
    except TrackingError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=3)
    summaries = obtained.summaries or summarise_parts(record.predictions())
    return Result(record, obtained.cached, summaries)
