"""The one door to MLflow: telemetry off, its loggers quiet, its waiting bounded."""

from __future__ import annotations

import logging
import os
from types import ModuleType

#: Only where the user has not decided otherwise. MLflow repeats a request for minutes without
#: knowing whether the first one arrived; this program looks first and waits by itself.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def import_mlflow() -> ModuleType:
    """Import MLflow (about 1.5 s the first time) and return it."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow

    # It prints a traceback for every locked table before it raises, and alembic tells every step.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL + 1)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    return mlflow
