"""What of a run is shown in MLflow: parameters, metrics, tags and the description. Pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sitrepbench.commands import repeat_command
from sitrepbench.metrics.summary import Summary
from sitrepbench.predictions import is_test_part
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.trial_pages import chosen_params, tuning_metrics

#: MLflow takes 6,000 characters, but nobody reads them in a table; config.yaml has them all.
MAX_PARAM_LENGTH = 500
MAX_NOTE_LENGTH = 7_500
METRIC_DIGITS = 4

#: Parts of the configuration that say nothing about what was run, or stand in tags.
_LEFT_OUT = frozenset({"executor", "hydra", "results_dir", "resume", "study", "tracking", "unlock"})
_SECRET = re.compile(r"password|passwd|secret|token|api_?key|credential", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
#: The name of the features of a model that reads the sentences itself.
NOTHING = "none"
_SEEDS = frozenset({"seed", "random_state"})
#: The groups of which a run chooses an option.
CHOICES = ("dataset", "protocol", "features", "model")

#: The marks that say "cut".
_CUT = " ... (cut, {length} characters; config.yaml has it all)"


def run_params(record: RunRecord) -> dict[str, str]:
    """Return the flattened configuration: ``model``, ``model.C``, ``features.min_df`` ...

    What is empty is left out, so are paths and settings that decide nothing; secrets are hidden.
    """
    return {**shown_params(record.config, shown_names(record)), **chosen_params(record)}


def shown_params(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a resolved configuration, of which ``names`` were chosen."""
    params = {kind: name for kind, name in names.items() if name}
    for name, value in _flatten(config, ""):
        head = name.split(".")[0]
        if head not in _LEFT_OUT and not (head == "features" and names.get(head) == NOTHING):
            params[metric_name(name)] = _shown(name, value)
    return params


def shown_names(record: RunRecord) -> dict[str, str]:
    """Return the chosen names, with features ``none`` where the model reads no features."""
    deciding = record.key_parts.get("config") or {}
    if "features" in deciding and deciding["features"] is None:
        return {**record.names, "features": NOTHING}
    return dict(record.names)


def run_metrics(record: RunRecord, summaries: Mapping[str, Summary]) -> dict[str, float]:
    """Return the metrics: the development part's plain, those of other parts after ``<part>/``.

    Values that are not finite are left out.
    """
    metrics: dict[str, float] = {}
    plain = development_part(summaries)
    for part, summary in summaries.items():
        prefix = "" if part == plain else f"{part}/"
        low, high = summary.intervals.get("macro_f1", (math.nan, math.nan))
        # The run's page lists them in this order.
        headline = {"macro_f1": math.nan, "macro_f1_low": low, "macro_f1_high": high}
        values = {**headline, **summary.metrics}
        for name, value in values.items():
            if math.isfinite(value):
                # MLflow's columns show six digits and cut the rest; the predictions are the truth.
                metrics[metric_name(prefix + name)] = round(float(value), METRIC_DIGITS)
    for name, value in tuning_metrics(record).items():
        metrics[name] = round(value, METRIC_DIGITS)
    for name in ("fit", "predict"):
        if name in record.seconds:
            metrics[f"{name}_seconds"] = round(float(record.seconds[name]), METRIC_DIGITS)
    return metrics


def development_part(summaries: Mapping[str, Any]) -> str | None:
    """Return the part whose metrics bear no prefix: the first that is no test split."""
    parts = [part for part in summaries if not is_test_part(part)]
    known = {"cv": 0, "dev": 1, "all": 2}
    return min(parts, key=lambda part: (known.get(part, 3), part), default=None)


def metric_name(name: str) -> str:
    """Return ``name`` with what MLflow refuses in names of metrics and parameters replaced.

    >>> metric_name("f1/killed (civilians)")
    'f1/killed _civilians_'
    """
    return re.sub(r"/+", "/", re.sub(r"[^\w .:/-]", "_", name)).strip("/")


def run_tags(record: RunRecord, params: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the tags: what the run is and where it comes from."""
    names, environment = shown_names(record), record.environment
    tags = {
        "kind": "run",
        "state": "done",
        "study": record.study,
        **{kind: names.get(kind, "") for kind in CHOICES},
        "dataset": str(record.dataset.get("name") or names.get("dataset", "")),
        "dataset_digest": str(record.dataset.get("digest", "")),
        "setup": setup_name(record, params),
        "content_key": record.key,
        "predictions_digest": record.predictions_digest,
        "looks": str(len(record.looks)),
        "commit": str(environment.get("commit") or ""),
        "dirty": _yes_no(environment.get("dirty")),
        "version": str(environment.get("sitrepbench") or ""),
        "mlflow.source.name": "sitrepbench",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": str(environment.get("commit") or ""),
    }
    return {name: value for name, value in tags.items() if value}


def setup_name(record: RunRecord, params: Mapping[str, str] | None = None) -> str:
    """Return a name that runs share which differ in nothing but their seed."""
    shown = run_params(record) if params is None else params
    params = {name: value for name, value in shown.items() if not is_seed(name)}
    digest = hashlib.sha256(json.dumps(sorted(params.items())).encode()).hexdigest()[:4]
    names = (_short_name(record, kind) for kind in ("model", "features"))
    return " ".join([*(name for name in names if name not in ("", NOTHING)), digest])


def _short_name(record: RunRecord, kind: str) -> str:
    name = shown_names(record).get(kind, "")
    about = (record.config.get(kind) or {}).get("_about_") or {}
    return name if name == NOTHING else str(about.get("short") or name)


def is_seed(param: str) -> bool:
    """Return whether a parameter only chooses the random numbers."""
    return param.rpartition(".")[2] in _SEEDS


def run_times(record: RunRecord) -> tuple[int, int]:
    """Return when the run itself began and ended, milliseconds since 1970."""
    end = int(datetime.fromisoformat(record.created).timestamp() * 1000)
    return end - int(1000 * record.seconds.get("total", 0.0)), end


def run_description(record: RunRecord, summaries: Mapping[str, Summary]) -> str:
    """Return what the run's page says on top, in Markdown."""
    # MLflow shows the first lines and folds the rest away.
    lines = [*_headline_line(summaries), _what(record), ""]
    lines += ["```", repeat_command(record.overrides), "```", ""]
    lines += ["| part | macro-F1 | 95 % interval | lenient | accuracy | scored |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    lines += [_headline_row(summary) for summary in summaries.values()]
    lines += [""]
    for look in record.looks:
        lines.append(
            f"- **Look at {look.get('split')}**: {_inline(look.get('reason', ''))} "
            f"({look.get('by', '')}, {look.get('time', '')})"
        )
    notes = [*record.notes, *(note for item in summaries.values() for note in item.notes)]
    lines += [f"- {_inline(note)}" for note in dict.fromkeys(notes)]
    if record.environment.get("dirty"):
        lines.append("- The checkout had uncommitted changes.")
    lines += ["", "Tables per label, fold and domain and the confusion matrix: *Artifacts*."]
    text = "\n".join(lines)
    return text if len(text) <= MAX_NOTE_LENGTH else text[:MAX_NOTE_LENGTH] + "\n\n... (cut)"


def _flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            text = str(key)
            if text == "_target_":
                text = "target"
            elif text.startswith("_") and text.endswith("_"):
                continue
            yield from _flatten(item, f"{name}.{text}" if name else text)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _flatten(item, f"{name}.{number}")
    elif value not in (None, "", [], {}):
        yield name, value


def without_credentials(text: str) -> str:
    """Return a text with the user and the password of every address hidden."""
    return _CREDENTIALS.sub("***@", text)


def _shown(name: str, value: Any) -> str:
    if _SECRET.search(name):
        return "***"
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    text = without_credentials(text)
    if len(text) > MAX_PARAM_LENGTH:
        mark = _CUT.format(length=len(text))
        return text[: MAX_PARAM_LENGTH - len(mark)] + mark
    return text


def _headline_line(summaries: Mapping[str, Summary]) -> list[str]:
    part = development_part(summaries) or next(iter(summaries), None)
    if part is None:
        return []
    summary = summaries[part]
    interval = _interval(summary)
    behind = f", 95 % interval {interval}" if interval else ""
    return [f"**Macro-F1 {summary.metrics['macro_f1']:.3f}**{behind} ({part}).", ""]


def _what(record: RunRecord) -> str:
    names, data = shown_names(record), record.dataset
    features = names.get("features")
    on = f" on **{features}** features" if features not in (None, "", NOTHING) else ""
    text = (
        f"**{names.get('model')}**{on}, scored by **{names.get('protocol')}** "
        f"on **{data.get('name')}**{_size(data)}."
    )
    other = data.get("trained_on")
    return f"{text} Trained on **{other.get('name')}**{_size(other)}." if other else text


def _interval(summary: Summary) -> str:
    low, high = summary.intervals.get("macro_f1", (math.nan, math.nan))
    return f"{low:.3f} to {high:.3f}" if math.isfinite(low) else ""


def _headline_row(summary: Summary) -> str:
    metrics = summary.metrics
    repeats = f", {summary.n_repeats} repeats" if summary.n_repeats > 1 else ""
    return (
        f"| {summary.part} | **{metrics['macro_f1']:.3f}** | {_interval(summary) or 'none'} "
        f"| {metrics.get('lenient_macro_f1', math.nan):.3f} | {metrics['accuracy']:.3f} "
        f"| {_count(summary.n_sentences, summary.n_documents)}{repeats} |"
    )


def _size(data: Mapping[str, Any]) -> str:
    if "sentences" not in data:
        return ""
    return f" ({_count(data['sentences'], data.get('documents', 0))})"


def _count(sentences: int, documents: int) -> str:
    return f"{sentences:,} sentences of {documents:,} document{'' if documents == 1 else 's'}"


def _inline(text: str) -> str:
    return " ".join(str(text).split())


def _yes_no(value: object) -> str:
    return "" if value is None else ("yes" if value else "no")
