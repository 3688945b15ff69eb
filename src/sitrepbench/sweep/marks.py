"""Marks of one start of a sweep: files that say what every worker is at, wherever it runs.

<attempt>/<key>.json     a run under way: by whom, since when, how many workers died of it
<attempt>/<key>.stack    where a run stood when its time was up, written by the dying process
<attempt>/<key>.reply    what became of a run

A worker that is killed cannot say so; whoever finds its mark books what happened.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sitrepbench.processes import is_alive, this_host, this_process
from sitrepbench.sweep.jobs import Failure, Job, Reply, State

#: Kinds of failures that are no exception's name.
KILLED = "killed"
TIME_LIMIT = "time limit"
_STACK_LINES = 12


class Marks:
    """The marks in one attempt's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, key: str) -> bool:
        """Return whether a run is marked as under way."""
        return self._read(f"{key}.json") is not None

    def begin_for(self, key: str) -> None:
        """Mark a run as under way in a process that ended before it could do so itself."""
        with contextlib.suppress(OSError):
            self._write(
                f"{key}.json",
                {"host": "", "process": "", "since": time.time(), "deaths": self.deaths(key)},
            )

    def begin(self, key: str) -> None:
        """Mark a run as under way in this process."""
        self._write(
            f"{key}.json",
            {
                "host": this_host(),
                "process": this_process(),
                "since": time.time(),
                "deaths": self.deaths(key),
            },
        )

    def finish(self, reply: Reply) -> None:
        """Note what became of a run; a full disk does not make it undone."""
        content = asdict(replace(reply, summaries=None))
        del content["summaries"]
        content["state"] = reply.state.value
        with contextlib.suppress(OSError):
            self._write(f"{reply.key}.reply", content)
        self.clear(reply.key)

    def clear(self, key: str) -> None:
        """Take the mark of a run away."""
        for name in (f"{key}.json", f"{key}.stack"):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()

    def reply(self, key: str) -> Reply | None:
        """Return what became of a run; None if that is not known here."""
        content = self._read(f"{key}.reply")
        if content is None:
            return None
        try:
            failure = Failure(**content.pop("failure")) if content["failure"] else None
            content.pop("failure", None)
            return Reply(**{**content, "state": State(content["state"]), "failure": failure})
        except (KeyError, TypeError, ValueError):
            return None

    def under_way(self) -> dict[str, str]:
        """Return the runs under way, each with ``host:pid`` of its worker."""
        found = {}
        with contextlib.suppress(OSError):
            for file in self.folder.glob("*.json"):
                mark = self._read(file.name)
                if mark is not None:
                    pid = str(mark.get("process", "")).partition("@")[0]
                    found[file.stem] = f"{mark.get('host')}:{pid}"
        return found

    def stack_file(self, key: str) -> Path:
        """Return the file into which a run's stack goes when its time is up."""
        return self.folder / f"{key}.stack"

    def deaths(self, key: str) -> int:
        """Return how many workers died of a run so far."""
        mark = self._read(f"{key}.json")
        return int(mark.get("deaths", 0)) if mark else 0

    def settle(
        self,
        job: Job,
        *,
        retries: int,
        cause: str,
        time_limit: float | None,
        stored: Path | None = None,
    ) -> Reply | None:
        """Return what became of a job whose worker is gone; None if it should be tried again.

        Parameters
        ----------
        job : Job
            It may have been finished, under way, or not begun.
        retries : int
            How many deaths are forgiven.
        cause : str
            How the worker ended, as far as known.
        time_limit : float or None
            The limit that was set, seconds.
        stored : Path or None
            Where its record would lie.
        """
        said = self.reply(job.key)
        if said is not None:
            return said
        mark = self._read(f"{job.key}.json")
        if mark is None:
            return None
        seconds = max(0.0, time.time() - float(mark.get("since", time.time())))
        pid = str(mark.get("process", "")).partition("@")[0]
        where = f"{mark.get('host')}:{pid}"
        if stored is not None and _made_since(stored, float(mark.get("since", 0.0))):
            # It died after the record was whole and before it could say so.
            reply = Reply(job.key, State.done, seconds, where)
            self.finish(reply)
            return reply
        stack = self._stack(job.key)
        if stack and time_limit is not None:
            return self._fail(
                job,
                Failure(
                    TIME_LIMIT,
                    f"it did not end within {time_limit:g} s (executor.time_limit)",
                    stack,
                    seconds,
                    where,
                ),
            )
        deaths = int(mark.get("deaths", 0)) + 1
        if deaths > retries:
            times = "" if deaths == 1 else f" {deaths} times, the last time"
            return self._fail(
                job,
                Failure(
                    KILLED,
                    f"its worker ended without an answer{times}: {cause}",
                    stack,
                    seconds,
                    where,
                ),
            )
        # Nobody's from now on: the worker that tries again would count the same death once more.
        forgiven = {**mark, "host": "", "process": "", "deaths": deaths}
        with contextlib.suppress(OSError):
            self._write(f"{job.key}.json", forgiven)
        return None

    def died_here(self, key: str) -> bool:
        """Return whether a mark was left by a process of this host that is gone."""
        mark = self._read(f"{key}.json")
        if mark is None or mark.get("process") == this_process():
            return False
        return mark.get("host") == this_host() and not is_alive(str(mark.get("process", "")))

    def may_live(self, key: str) -> bool:
        """Return whether the process that a mark speaks of may still run, here or elsewhere."""
        mark = self._read(f"{key}.json") or {}
        host, process = str(mark.get("host", "")), str(mark.get("process", ""))
        return bool(host) and (host != this_host() or is_alive(process))

    def _fail(self, job: Job, failure: Failure) -> Reply:
        reply = Reply(job.key, State.failed, failure.seconds, failure.where, failure)
        self.finish(reply)
        return reply

    def _stack(self, key: str) -> str:
        try:
            text = self.stack_file(key).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[:_STACK_LINES])

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            content = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        beside = self.folder / f".{name}.{os.getpid()}"
        beside.write_text(json.dumps(content), encoding="utf-8")
        beside.replace(self.folder / name)


def _made_since(folder: Path, moment: float) -> bool:
    """Return whether a record's folder was written after a moment, seconds since 1970."""
    try:
        return folder.stat().st_mtime >= moment - 1
    except OSError:
        return False
