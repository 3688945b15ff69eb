"""What `sitrepbench train` takes; what it does is imported when it is done."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitrepbench.cli.arguments import add_config_dir

if TYPE_CHECKING:
    from sitrepbench.config.run_config import RunConfig
    from sitrepbench.store.record import RunRecord
    from sitrepbench.trained.model import TrainedModel

_TELLS = """\
Fit one configuration on all its training data, and write a folder that can be
handed over: model, card, checksums, pinned requirements. Its scores are those
of the same configuration's run, which is taken from the results store or
computed first. Never trains on a test split.
"""
_EXAMPLES = """\
  sitrepbench train model=linear_svm dataset=sitrep protocol=grouped_cv \\
    calibrator=temperature --output reports-model
  sitrepbench train model=crf dataset=table dataset.path=my.csv \\
    --output my-model --register reports
"""


def add_train(commands: Any) -> None:
    """Add the parser."""
    train = commands.add_parser(
        "train",
        help="fit a configuration on all its training data and write a model to hand over",
        description=_TELLS,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("overrides", nargs="*", metavar="GROUP=CHOICE|KEY=VALUE")
    train.add_argument("--output", required=True, metavar="FOLDER", help="where the model goes")
    train.add_argument("--name", default="", help="what it is called (default: the run's name)")
    train.add_argument(
        "--register", default="", metavar="NAME", help="make it a version of MLflow's model NAME"
    )
    train.add_argument(
        "--tracking-uri", metavar="URI", help="log there (default: the configuration's tracking)"
    )
    train.add_argument(
        "--overwrite", action="store_true", help="replace the model that lies in FOLDER"
    )
    add_loading_rules(train)
    add_config_dir(train)
    train.set_defaults(command=_train)


def add_loading_rules(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell what a model may be made of."""
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="take a model that is kept as pickle: loading it runs whatever code it holds",
    )
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="MODULE.CLASS",
        help="a type that a model may be made of; may be repeated",
    )


def _train(parsed: argparse.Namespace) -> int:
    from sitrepbench.trained.folder import check_output
    from sitrepbench.trained.serialised import check_names

    # All that can be refused before hours of fitting is refused now.
    output = Path(parsed.output).expanduser()
    check_output(output, replace=parsed.overwrite)
    check_names(parsed.trust)
    config = _configured(parsed)
    if parsed.register:
        from sitrepbench.cli.outcome import settings_of
        from sitrepbench.errors import ConfigError
        from sitrepbench.tracking.trained_models import check_register

        check_register(parsed.register)
        if settings_of(config) is None:
            raise ConfigError("--register needs MLflow, and tracking=none says to log nothing")
    model, record = _made(config, parsed, output)
    _tell(model, record, output)
    return _log(model, record, config, parsed.register)


def _configured(parsed: argparse.Namespace) -> RunConfig:
    from sitrepbench.config.compose import as_named, compose
    from sitrepbench.config.run_config import check_config
    from sitrepbench.errors import ConfigError

    overrides = list(parsed.overrides)
    if parsed.tracking_uri:
        from sitrepbench.api import quoted

        overrides += ["tracking=mlflow", f"tracking.uri={quoted(parsed.tracking_uri)}"]
    folders = [Path(parsed.config_dir)] if parsed.config_dir else []
    composed = compose(as_named(overrides), config_dirs=folders)
    if "MULTIRUN" in str(composed.hydra.mode):
        raise ConfigError(
            "train fits one configuration: give every key one value. To compare several, use "
            "'sitrepbench run -m ...' first"
        )
    config = check_config(composed)
    if config.build("executor").elsewhere:
        raise ConfigError(
            f"executor={config.names['executor']}: train fits in this process; leave executor out"
        )
    return config


def _made(
    config: RunConfig, parsed: argparse.Namespace, output: Path
) -> tuple[TrainedModel, RunRecord]:
    from sitrepbench.cli.progress import cells_progress
    from sitrepbench.preparing import prepare
    from sitrepbench.reuse.embeddings import embeddings_kept_in
    from sitrepbench.reuse.memory import FittedFeatures
    from sitrepbench.runs import obtain
    from sitrepbench.store.results import ResultsStore
    from sitrepbench.trained.fitting import training_rows
    from sitrepbench.trained.training import Order, train

    prepared = prepare(config)
    training_rows(prepared.plan)
    store = ResultsStore(config.results_dir)
    fitted = FittedFeatures(0, folder=store.folder)
    with cells_progress("evaluation run") as on_cell:
        obtained = obtain(prepared, store, on_cell=on_cell, fitted=fitted)
    how = "taken from the store" if obtained.cached else "computed"
    print(f"Evaluation run {obtained.record.key}: {how}.", file=sys.stderr)
    order = Order(
        output,
        name=parsed.name,
        command=_command(parsed),
        allow_pickle=parsed.allow_pickle,
        trust=tuple(parsed.trust),
        overwrite=parsed.overwrite,
    )
    with (
        cells_progress("fitting on all training rows", unit="model") as on_cell,
        embeddings_kept_in(store.folder),
    ):
        model = train(
            prepared,
            obtained.record,
            order,
            on_trial=lambda tried, most: on_cell(tried / (most + 1) if most else 0, 1),
        )
    return model, obtained.record


def _command(parsed: argparse.Namespace) -> str:
    from sitrepbench.told import without_passwords

    words = ["sitrepbench", "train", *parsed.overrides, "--output", parsed.output]
    for option in ("name", "register", "config_dir"):
        if getattr(parsed, option):
            words += [f"--{option.replace('_', '-')}", getattr(parsed, option)]
    words += [word for name in parsed.trust for word in ("--trust", name)]
    words += ["--allow-pickle"] if parsed.allow_pickle else []
    return shlex.join(without_passwords(words))


def _tell(model: TrainedModel, record: RunRecord, output: Path) -> None:
    for part, scores in record.scores.items():
        print(
            f"{model.name}: macro-F1 {scores['macro_f1']:.3f} ({scores['macro_f1_low']:.3f} to "
            f"{scores['macro_f1_high']:.3f}) on {part}, by run {record.key}"
        )
    sizes = [told["bytes"] for told in _files(output).values()]
    print(
        f"Trained on {model.manifest['n_rows']:,} sentences; {sum(sizes) / 1e6:.1f} MB in {output}"
    )
    if model.manifest["serialization"] == "pickle":
        print(
            "The model is kept as pickle: whoever loads it needs --allow-pickle, and to trust you.",
            file=sys.stderr,
        )
    from sitrepbench.trained.encoders import encoders_named

    # It is not read unless who labels names it as well.
    named = encoders_named(model.pipeline)
    encoder = f" --encoder {shlex.quote(named[0])}" if named else ""
    print(f"Label a file: sitrepbench predict {shlex.quote(str(output))} FILE{encoder}")


def _files(output: Path) -> dict[str, Any]:
    from sitrepbench.trained.folder import read_folder

    # Read back, so that what is said of the folder is what lies there.
    files: dict[str, Any] = read_folder(output)[0]["files"]
    return files


def _log(model: TrainedModel, record: RunRecord, config: RunConfig, register: str) -> int:
    from sitrepbench.cli.outcome import Finished, log_finished, settings_of
    from sitrepbench.errors import TrackingError

    settings = settings_of(config)
    if settings is None or not settings.enabled:
        return 0
    from sitrepbench.tracking.trained_models import log_trained
    from sitrepbench.trained.training import example_of

    try:
        log_finished([Finished(config, record, True)])
        logged = log_trained(model, record, settings, register=register, example=example_of(model))
    except TrackingError as error:
        raise TrackingError(f"{error}\nThe model itself is whole, in {model.folder}.") from error
    print(f"In MLflow: {logged.uri}")
    if logged.registered:
        print(f"Registered: {logged.registered}")
    return 0
