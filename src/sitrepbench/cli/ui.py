"""``sitrepbench ui``: MLflow's UI at a study's leaderboard."""

from __future__ import annotations

from pathlib import Path

from sitrepbench.errors import TrackingError
from sitrepbench.tracking.settings import tracking_settings
from sitrepbench.tracking.ui import DEFAULT_PORT, serve_ui

_ANY = "any"


def open_ui(
    results_dir: str,
    *,
    study: str | None,
    port: int | None,
    tracking_uri: str | None,
    open_browser: bool,
) -> int:
    """Serve the UI until interrupted.

    Raises
    ------
    TrackingError
        When nothing was ever logged there, so that there is nothing to look at.
    """
    settings = tracking_settings(
        Path(results_dir).expanduser().resolve(), study or _ANY, uri=tracking_uri
    )
    if settings.database is not None and not settings.database.exists():
        raise TrackingError(
            f"{settings.database}: no MLflow database here yet. Name the results store with "
            "--results-dir DIR, or log a run first: sitrepbench run ..."
        )
    serve_ui(settings, port=port or DEFAULT_PORT, study=study, open_browser=open_browser)
    return 0
