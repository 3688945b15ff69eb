"""What `sitrepbench serve` takes; what it does is imported when it is done."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from sitrepbench.cli.arguments import add_encoder, add_store, port
from sitrepbench.cli.train import add_loading_rules

DEFAULT_PORT = 5005
_TELLS = """\
Serve a trained model over HTTP: MLflow's own scoring server (/invocations,
/ping) with a limit on the size of a request. It has no passwords and no
encryption: leave it on this machine, or put a server in front that has both.
"""


def add_serve(commands: Any) -> None:
    """Add the parser."""
    serve = commands.add_parser(
        "serve",
        help="serve a trained model over HTTP, with a limit on requests",
        description=_TELLS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument(
        "model", help="the folder of 'sitrepbench train', or an MLflow URI (models:/..., runs:/...)"
    )
    serve.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    serve.add_argument("--port", type=port, default=DEFAULT_PORT, help="(default: %(default)s)")
    serve.add_argument(
        "--max-body-mb",
        type=_megabytes,
        default=10.0,
        metavar="MB",
        help="the most million bytes of a request (default: %(default)g)",
    )
    serve.add_argument("--tracking-uri", metavar="URI", help="where an MLflow model is")
    add_loading_rules(serve)
    add_encoder(serve)
    add_store(serve)
    serve.set_defaults(command=_serve)


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # Not a number is not over 0 either.
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text}: a number over 0 and up to 1000 is expected")
    return value


def _serve(parsed: argparse.Namespace) -> int:
    from sitrepbench.tracking.serving import check_address, run_server, serving_app
    from sitrepbench.tracking.settings import tracking_settings
    from sitrepbench.tracking.trained_models import model_folder

    check_address(parsed.host, parsed.port)
    settings = tracking_settings(Path(parsed.results_dir), "adhoc", uri=parsed.tracking_uri)
    most_bytes = max(1, round(parsed.max_body_mb * 1e6))
    with (
        model_folder(parsed.model, settings) as folder,
        serving_app(
            folder,
            most_bytes=most_bytes,
            allow_pickle=parsed.allow_pickle,
            trust=tuple(parsed.trust),
            encoder=parsed.encoder,
        ) as (app, model),
    ):
        host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
        print(
            f"{model.name} at http://{host}:{parsed.port}/invocations, requests up to "
            f"{most_bytes / 1e6:g} MB; end with Ctrl+C",
            flush=True,
        )
        run_server(app, host=parsed.host, port=parsed.port)
    return 0
