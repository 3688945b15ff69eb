"""An error analysis beside its run in MLflow: page, tables and figures below ``errors/<part>/``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sitrepbench.tracking.connection import tracking_errors, tracking_lock
from sitrepbench.tracking.entries import RUN
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import open_store, study_experiments

ERRORS_FOLDER = "errors"


def log_errors(
    key: str, settings: TrackingSettings, write: Callable[[Path], None], *, part: str
) -> int:
    """Add the files of an error analysis to a run, in the experiment of every study that has it.

    What is there from an earlier time is replaced; no run is made.

    Parameters
    ----------
    key : str
        The run's content key.
    settings : TrackingSettings
        Where runs are logged.
    write : callable
        Writes the files into an existing folder.
    part : str
        The part that was looked into.

    Returns
    -------
    int
        To how many MLflow runs they were added; 0 where the run is not in MLflow.

    Raises
    ------
    TrackingError
        When MLflow refuses, its database is damaged, or its server does not answer.
    """
    if not settings.enabled:
        return 0
    if settings.database is not None and not settings.database.exists():
        return 0

    def write_below(folder: Path) -> None:
        below = folder / ERRORS_FOLDER / part
        below.mkdir(parents=True, exist_ok=True)
        write(below)

    added = 0
    with tracking_errors(settings), tracking_lock(settings):
        for name in study_experiments(settings):
            with open_store(replace(settings, experiment=name)) as store:
                for run in store.find(RUN, [key]):
                    if run.whole:
                        store.add_files(run.run_id, write_below)
                        added += 1
    return added
