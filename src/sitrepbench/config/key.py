"""The content key: what decides a run's predictions, and nothing else.

It covers the deciding configuration, the data's digests, the sources of this program that decide
predictions, and the versions of the libraries that do. It leaves out what people may change
freely: names, paths, workers, tracking, the reason for a look, and the seed of a pipeline that
draws no random numbers.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

import sitrepbench
from sitrepbench.config.building import without_own_keys
from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.session_code import SESSION, session_digests
from sitrepbench.config.targets import TARGET, locate
from sitrepbench.encoders import EMBEDDING, FINE_TUNING
from sitrepbench.features.contents import contents as contents_of_parts
from sitrepbench.models.pipeline import reads_frame, unset_seeds
from sitrepbench.protocols import Plan
from sitrepbench.tuning.tune import Tuning

#: Length of a key, hexadecimal digits.
KEY_LENGTH = 16
#: Length of a file's digest, hexadecimal digits.
DIGEST_LENGTH = 16
#: The parts of the configuration that decide predictions; the rest of the top level does not.
DECIDING = ("protocol", "features", "model", "tuner", "calibrator")
#: What the top level leaves out, each for its reason; a test holds that nothing is forgotten.
LEFT_OUT = {
    "dataset": "its digest stands for it",
    "executor": "where a run is computed decides nothing; labels agree over thread counts",
    "tracking": "a view",
    "seed": "counted by itself, and only where something draws random numbers",
    "results_dir": "a path",
    "resume": "decides whether to run, not what comes out",
    "study": "a name",
    "final_test": "a reason",
    "unlock": "a reason",
}
#: Sources that decide predictions, relative to the package.
DECIDING_SOURCES = (
    "execution.py",
    "fitting.py",
    "seeding.py",
    "data/dataset.py",
    "data/duplicates.py",
    "parts.py",
    "protocols",
    "features",
    "models",
    "reuse/transformed.py",
    "tuning",
)
#: Sources among them that only check a model (`sitrepbench check-model`).
CHECKING_SOURCES = frozenset(
    f"models/{name}.py" for name in ("contract", "example", "parameters", "processes", "trial")
)
#: Sources of the score by which a search chooses.
SCORE_SOURCES = ("metrics/confusion.py", "metrics/scores.py")
#: Options of a tuner that came later, with the values at which they decide nothing.
_UNSET: Mapping[str, tuple[Any, ...]] = {
    "held_out": (None, []),
    "without": (None, []),
    "refit": ("all",),
}
#: Sources of the calibrators, which count where one is chosen.
CALIBRATION_SOURCES = "calibration"
#: Sources and libraries that count where something of them is chosen, by the target's beginning.
CHOSEN_SOURCES = {"sitrepbench.finetuning.": "finetuning"}
CHOSEN_LIBRARIES = {
    "sitrepbench.finetuning.": FINE_TUNING.distributions,
    "sitrepbench.features.Embeddings": EMBEDDING.distributions,
    "sitrepbench.features.embeddings": EMBEDDING.distributions,
}
#: Stands for the version of a library that is not there.
ABSENT = "absent"
#: Whether a step draws random numbers, by what it is made of.
_KNOWN_DRAWS: dict[str, bool] = {}
_KNOWN_LIMIT = 10_000
#: The libraries whose version always counts, by the package that is imported.
_OWNERS = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn"}


def key_parts(
    config: RunConfig, plan: Plan, pipeline: Pipeline, tuning: Tuning | None = None
) -> dict[str, Any]:
    """Return the ingredients of a content key by name, as plain values.

    They are fine enough that two runs can be told apart by them: ``sources`` and, per target,
    ``own_code`` map files to the first 16 hexadecimal digits of their sha256.
    """
    model = pipeline.steps[-1][1]
    deciding = {group: without_own_keys(config.tree[group]) for group in DECIDING}
    if reads_frame(model):
        deciding["features"] = None
    deciding["tuner"] = tuner_part(config, tuning)
    calibrated = config.tree["calibrator"].get(TARGET) is not None
    if not calibrated:
        # Runs without one have the keys that they had before there were calibrators.
        del deciding["calibrator"]
    if isinstance(deciding["protocol"], dict):
        # The digest stands for a protocol's second dataset as well.
        deciding["protocol"].pop("target", None)
    contents = {name: found for name, step in pipeline.steps if (found := _contents(step))}
    for name, step in pipeline.steps:
        # A file that an estimator reads counts by its content, not by its path.
        for parameter in getattr(step, "content_parameters", ()):
            deciding[name].pop(parameter, None)
    targets = _deciding_targets(config, model)
    own_code = dict(sorted(_foreign_sources(targets)))
    return {
        "config": deciding,
        "contents": contents,
        "seed": config.seed if _draws(pipeline, deciding, own_code) else None,
        "data": {"training": plan.training.digest, "scored": plan.scored.digest},
        "sources": {
            **source_digests(),
            **_search_sources(tuning),
            **(_calibration_sources() if calibrated else {}),
            **_chosen_sources(targets),
        },
        "own_code": own_code,
        "versions": _versions(targets, tuning),
    }


def _contents(step: Any) -> str | Mapping[str, str]:
    """Return what stands for the files that a step reads, or that its parts do; else nothing."""
    if hasattr(step, "content_digest"):
        return str(step.content_digest())
    return contents_of_parts(step) if hasattr(step, "get_params") else {}


def tuner_part(config: RunConfig, tuning: Tuning | None) -> dict[str, Any] | None:
    """Return what a tuner decides by; None where it leaves the model as it is configured."""
    if tuning is None or not tuning.changes:
        return None
    part = dict(without_own_keys(config.tree["tuner"]))
    for name, unset in _UNSET.items():
        # Runs that do not use an option have the keys that they had before there was one.
        if name in part and part[name] in unset:
            del part[name]
    if tuning.searches:
        # The space may stand beside the model, among what is left out.
        space = [[dim.path, dim.kind, list(dim.values)] for dim in tuning.dimensions]
        part = {**part, "space": space}
        part.pop("grid", None)
    return dict(part)


def content_key(parts: Mapping[str, Any]) -> str:
    """Return the key of `key_parts`."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_LENGTH]


def _draws(pipeline: Pipeline, deciding: Mapping[str, Any], own_code: Mapping[str, Any]) -> bool:
    """Return whether something in a pipeline draws random numbers that nobody has seeded."""
    for name, step in pipeline.steps:
        # Looking into a features step takes a third of what a key takes, and is often the same.
        made_of = json.dumps([name, deciding.get(name), own_code], sort_keys=True, default=str)
        if made_of not in _KNOWN_DRAWS:
            if len(_KNOWN_DRAWS) >= _KNOWN_LIMIT:
                _KNOWN_DRAWS.clear()
            _KNOWN_DRAWS[made_of] = bool(unset_seeds(Pipeline([(name, step)])))
        if _KNOWN_DRAWS[made_of]:
            return True
    return False


@lru_cache(maxsize=1)
def source_digests() -> Mapping[str, str]:
    """Return this program's sources that decide predictions: file and digest of its content."""
    package = Path(sitrepbench.__file__).parent
    files: list[Path] = []
    for name in DECIDING_SOURCES:
        path = package / name
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    files = [f for f in files if f.relative_to(package).as_posix() not in CHECKING_SOURCES]
    return _digests(files, package)


def _search_sources(tuning: Tuning | None) -> Mapping[str, str]:
    """Return the sources that decide which settings a search takes: those of its score."""
    if tuning is None or not tuning.searches:
        return {}
    package = Path(sitrepbench.__file__).parent
    return _digests([package / name for name in SCORE_SOURCES], package)


@lru_cache(maxsize=1)
def _calibration_sources() -> Mapping[str, str]:
    """Return the sources that decide how probabilities are mended."""
    package = Path(sitrepbench.__file__).parent
    return _digests(sorted((package / CALIBRATION_SOURCES).rglob("*.py")), package)


def _chosen_sources(targets: Collection[str]) -> Mapping[str, str]:
    """Return the sources of what is seldom chosen, where it is."""
    package = Path(sitrepbench.__file__).parent
    found: dict[str, str] = {}
    for beginning, folder in CHOSEN_SOURCES.items():
        if _is_chosen(targets, beginning):
            found |= _digests(sorted((package / folder).rglob("*.py")), package)
    return found


def _is_chosen(targets: Collection[str], beginning: str) -> bool:
    return any(target.startswith(beginning) for target in targets)


def _deciding_targets(config: RunConfig, model: Any) -> frozenset[str]:
    """Return the targets of all that decides; of a model that reads sentences, no features."""
    groups = [group for group in DECIDING if group != "features" or not reads_frame(model)]
    return frozenset(target for group in groups for target in _targets(config.tree[group]))


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get(TARGET), str):
            yield node[TARGET]
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _foreign(targets: Collection[str]) -> list[str]:
    return sorted(target for target in targets if not target.startswith("sitrepbench."))


def _foreign_sources(targets: Collection[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the digests of a user's own modules, which no version stands for."""
    for target in _foreign(targets):
        if _distributions_of(target):
            continue
        located = locate(target)
        try:
            file = inspect.getsourcefile(located)
        except (TypeError, OSError):
            file = None
        if file is not None and Path(file).is_file():
            yield target, _neighbourhood(target, Path(file))
        elif target.startswith(f"{SESSION}."):
            yield target, session_digests(located)


def _neighbourhood(target: str, file: Path) -> Mapping[str, str]:
    """Return the files that a user's object may be made of, with digests.

    That is every Python file of its package or, for a module by itself, of the folder that it
    lies in: what it imports from there decides predictions as well.
    """
    depth = target.count(".") - 1  # module levels below the top one
    if file.name == "__init__.py":
        depth += 1
    folder = file.parent if depth <= 0 else file.parents[depth - 1]
    files = sorted(folder.rglob("*.py")) if depth > 0 else sorted(folder.glob("*.py"))
    return _digests(files, folder)


def _digests(files: Iterable[Path], folder: Path) -> dict[str, str]:
    found = {}
    for file in files:
        state = file.stat()
        found[file.relative_to(folder).as_posix()] = _file_digest(
            file, (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        )
    return found


@lru_cache(maxsize=4096)
def _file_digest(file: Path, state: tuple[int, ...]) -> str:
    """Return a file's digest; ``state`` tells whether it is still the file that was read."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:DIGEST_LENGTH]


def _distributions_of(target: str) -> Sequence[str]:
    """Return the installed distributions that a target's top package comes from."""
    top = target.partition(".")[0]
    return [_OWNERS[top]] if top in _OWNERS else _distributions().get(top, [])


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    # Reads the metadata of every installed package: half a second, once per process.
    return metadata.packages_distributions()


def _versions(targets: Collection[str], tuning: Tuning | None) -> dict[str, str]:
    names = set(_OWNERS.values())
    if tuning is not None and tuning.searches:
        names.update(getattr(tuning.tuner, "distributions", ()))
    for target in _foreign(targets):
        names.update(_distributions_of(target))
    for beginning, libraries in CHOSEN_LIBRARIES.items():
        if _is_chosen(targets, beginning):
            names.update(libraries)
    return {name: _version(name) for name in sorted(names)}


@lru_cache(maxsize=256)
def _version(distribution: str) -> str:
    # Parses a metadata file, 2 ms; what is imported does not change in a process anyway.
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        # Of an extra that features ask for which the model does not read.
        return ABSENT
