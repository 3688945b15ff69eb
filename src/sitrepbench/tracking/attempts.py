"""Failed attempts as MLflow runs of their own, so that a cause can be read beside the results."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sitrepbench.sweep.jobs import Failure, Job
from sitrepbench.tracking.content import MAX_NOTE_LENGTH, shown_params, without_credentials
from sitrepbench.tracking.entries import ATTEMPT, ATTEMPT_ID, CONTENT_KEY, NOTE_TAG, Entry

DETAILS_FILE = "traceback.txt"
_MAX_REASON = 200
_MAX_MESSAGE = 4_000


def attempt_entry(
    job: Job, failure: Failure, *, study: str, more_tags: Mapping[str, str] | None = None
) -> Entry:
    """Return the entry of an attempt that came to no record.

    The same failure told twice, as after a server that was away, is one attempt.

    Parameters
    ----------
    job : Job
        What was tried.
    failure : Failure
        What came of it.
    study : str
        The study or ``adhoc``.
    more_tags : mapping, optional
        Such as those that name the sweep it belongs to.
    """
    identity = attempt_id(job, failure)
    end = int(1000 * time.time())
    command = without_credentials(job.command)
    tags = {
        "kind": ATTEMPT,
        "state": "failed",
        "study": study,
        ATTEMPT_ID: identity,
        CONTENT_KEY: job.key,
        "reason": failure_reason(failure),
        "where": failure.where,
        "command": command[:MAX_NOTE_LENGTH],
        **dict(job.names),
        "mlflow.source.name": "sitrepbench",
        "mlflow.source.type": "LOCAL",
        NOTE_TAG: _description(failure, command),
        **(more_tags or {}),
    }
    return Entry(
        kind=ATTEMPT,
        identity=identity,
        name=job.name,
        status="FAILED",
        start=end - int(1000 * failure.seconds),
        end=end,
        tags={name: value for name, value in tags.items() if value},
        params=shown_params(job.tree, job.names),
        metrics={},
        write_files=partial(_write_details, failure) if failure.details else None,
    )


def attempt_id(job: Job, failure: Failure) -> str:
    """Return what tells this attempt from any other, 16 hexadecimal digits."""
    told = [job.key, failure.kind, failure.message, failure.details, failure.where]
    text = json.dumps([*told, round(failure.seconds, 3)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def failure_reason(failure: Failure) -> str:
    r"""Return why it failed in one short line.

    >>> failure_reason(Failure("ModelError", "it raised\nValueError: no"))
    'ModelError: it raised'
    """
    first = without_credentials(failure.message).strip().partition("\n")[0]
    line = f"{failure.kind}: {first}" if first else failure.kind
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 4] + " ..."


def _description(failure: Failure, command: str) -> str:
    message = without_credentials(failure.message).strip()
    lines = [f"**Failed: {failure.kind}.**", "", "```", message[:_MAX_MESSAGE], "```", ""]
    lines += ["To repeat it:", "", "```", command, "```", ""]
    where = f" on {failure.where}" if failure.where else ""
    lines.append(f"It took {failure.seconds:.1f} s{where}.")
    if failure.details:
        lines.append(f"Where it stood: *Artifacts*, {DETAILS_FILE}.")
    return "\n".join(lines)[:MAX_NOTE_LENGTH]


def _write_details(failure: Failure, folder: Path) -> None:
    (folder / DETAILS_FILE).write_text(
        without_credentials(failure.details), encoding="utf-8", errors="replace"
    )
