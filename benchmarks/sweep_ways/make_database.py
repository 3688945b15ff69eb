"""Make a tracking database, so that no way pays for it.

python make_database.py mlflow FOLDER          the naive way's
python make_database.py sitrepbench FOLDER     this program's, in a results store
"""

from __future__ import annotations

import sys
from pathlib import Path

from grid import EXPERIMENT


def main(kind: str, folder: str) -> None:
    """Make the tables and the experiment."""
    if kind == "mlflow":
        import mlflow

        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.create_experiment(EXPERIMENT, artifact_location=f"file://{folder}/artifacts")
        return
    from sitrepbench.tracking.connection import open_experiment
    from sitrepbench.tracking.settings import tracking_settings

    open_experiment(tracking_settings(Path(folder), "adhoc"))


if __name__ == "__main__":
    main(*sys.argv[1:])
