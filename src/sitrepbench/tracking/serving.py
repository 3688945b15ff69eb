"""A trained model over HTTP: MLflow's own scoring application behind a limit."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sitrepbench.errors import ConfigError
from sitrepbench.tracking.body_limit import BodyLimit
from sitrepbench.tracking.trained_models import quiet_pyfunc, save_pyfunc
from sitrepbench.trained import TrainedModel, load_trained

#: Requests that are answered at a time; more get 503, so that bodies cannot fill the memory.
MOST_AT_A_TIME = 16


@contextmanager
def serving_app(
    folder: Path,
    *,
    most_bytes: int,
    allow_pickle: bool = False,
    trust: Sequence[str] = (),
    encoder: str | None = None,
) -> Iterator[tuple[BodyLimit, TrainedModel]]:
    """Yield the application that serves a trained model, and the model.

    Parameters
    ----------
    folder : Path
        As ``sitrepbench train`` wrote it.
    most_bytes : int
        The most bytes of a request's body.
    allow_pickle, trust, encoder
        As for `sitrepbench.trained.load_trained`.

    Raises
    ------
    ConfigError, DataError
        When the model cannot be loaded.
    """
    # Loaded here first, so that what is wrong with it is told in this program's words.
    trained = load_trained(folder, allow_pickle=allow_pickle, trust=trust, encoder=encoder)
    rules: dict[str, Any] = {"allow_pickle": allow_pickle, "trust": list(trust)}
    if encoder is not None:
        rules["encoder"] = encoder
    with tempfile.TemporaryDirectory(prefix="sitrepbench-") as temporary:
        place = Path(temporary) / "model"
        save_pyfunc(trained, place, rules=rules)
        with quiet_pyfunc() as pyfunc:
            from mlflow.pyfunc import scoring_server

            app = scoring_server.init(pyfunc.load_model(str(place), model_config=rules))
        yield BodyLimit(app, most_bytes=most_bytes), trained


def check_address(host: str, port: int) -> None:
    """Refuse an address that cannot be served at, before a model is loaded.

    Raises
    ------
    ConfigError
        When the port is taken or the host is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise ConfigError(
            f"cannot serve at {host}, port {port}: {error.strerror}; give another --port or --host"
        ) from error


def run_server(app: BodyLimit, *, host: str, port: int) -> None:
    """Serve until interrupted."""
    import uvicorn

    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        limit_concurrency=MOST_AT_A_TIME,
        server_header=False,
    )
