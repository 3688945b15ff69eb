"""What lies in a results store that nobody needs, and how it is removed safely.

Nothing outside the store is touched and no link is followed; ``looks.jsonl`` is no waste ever. A
process that is killed in the middle leaves a store that is whole: a run goes by one rename.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from sitrepbench.errors import StoreError
from sitrepbench.store.failures import FAILED_FOLDER, FailedRuns
from sitrepbench.store.index import IndexRow
from sitrepbench.store.results import (
    DAMAGED_FOLDER,
    LOCKS_FOLDER,
    PARTIAL_FOLDER,
    RUNS_FOLDER,
    ResultsStore,
)

FEATURES_CACHE = Path("cache") / "features"
EMBEDDINGS_CACHE = Path("cache") / "embeddings"
#: Searches under way, by content key.
SEARCHES = Path("cache") / "searches"
#: Below such a folder, the fits under way that keep checkpoints.
FITS = "fits"
_DAY = 86_400.0


@dataclass(frozen=True)
class Waste:
    """Things of one kind that can go.

    Parameters
    ----------
    what : str
        The kind, as people read it.
    paths : tuple of Path
        The files and folders.
    size : int
        What they take on the disk, bytes.
    """

    what: str
    paths: tuple[Path, ...]
    size: int

    @classmethod
    def of(cls, what: str, paths: Collection[Path]) -> Waste:
        """Weigh the files and folders of one kind."""
        return cls(what, tuple(sorted(paths)), sum(map(size_of, paths)))


class WasteFinder:
    """Finds what nobody needs in a store.

    Parameters
    ----------
    store : ResultsStore
        Which one.
    older_than : float or None
        Leave what was made in the last so many days.
    """

    def __init__(self, store: ResultsStore, *, older_than: float | None = None) -> None:
        self._store = store
        self._since = None if older_than is None else time.time() - older_than * _DAY
        #: Folders that are left alone because they are links to somewhere else.
        self.linked: list[Path] = []

    def runs(
        self, rows: Sequence[IndexRow], needed: Collection[str], kept_studies: Collection[str]
    ) -> list[IndexRow]:
        """Return the finished runs that nobody needs."""
        if not self._own(RUNS_FOLDER):
            return []
        return [
            row
            for row in rows
            if row.key not in needed
            and row.study not in kept_studies
            and self._is_old(_timestamp(row.created))
            and not (self._store.runs / row.key).is_symlink()
        ]

    def partial(self) -> list[Path]:
        """Return what dead processes were writing or removing."""
        found = self._store.abandoned() if self._own(PARTIAL_FOLDER) else []
        return [path for path in found if self._is_old(_touched(path))]

    def damaged(self) -> list[Path]:
        """Return the records that were set aside."""
        return self._entries(DAMAGED_FOLDER)

    def failures(self, needed: Collection[str], kept_studies: Collection[str]) -> list[Path]:
        """Return the notes of failed runs that are done, or that nobody needs."""
        finished, failed = self._store.finished(), FailedRuns(self._store.folder)
        found = []
        for path in self._entries(FAILED_FOLDER):
            key = path.stem
            if path.suffix != ".json" or path.name.startswith("."):
                continue
            note = failed.find(key)
            kept = key in needed or (note is not None and note.study in kept_studies)
            if key in finished or not kept:
                found.append(path)
        return found

    def locks(self) -> list[Path]:
        """Return the claims' files that nobody holds."""
        return [path for path in self._entries(LOCKS_FOLDER) if _is_free(path)]

    def cached_features(self) -> list[Path]:
        """Return the files of features and vectors, which are made anew where they are missing."""
        return [*self._entries(str(FEATURES_CACHE)), *self._entries(str(EMBEDDINGS_CACHE))]

    def searches(self) -> list[Path]:
        """Return the searches of runs that nobody computes at present; they begin anew."""
        locks = self._store.folder / LOCKS_FOLDER
        return [path for path in self._entries(str(SEARCHES)) if _is_idle(locks / path.name)]

    def below(self, folder: Path) -> list[Path]:
        """Return what lies in a folder of the store and is old enough."""
        return self._entries(str(folder.relative_to(self._store.folder)))

    def _entries(self, name: str) -> list[Path]:
        folder = self._store.folder / name
        if not self._own(name) or not folder.is_dir():
            return []
        with contextlib.suppress(OSError):
            return [path for path in sorted(folder.iterdir()) if self._is_old(_touched(path))]
        return []

    def owns(self, folder: Path) -> bool:
        """Return whether a folder is the store's own, not reached by a link to somewhere else."""
        inside = folder.relative_to(self._store.folder)
        for path in (self._store.folder / part for part in (inside, *inside.parents[:-1])):
            if path.is_symlink():
                if path not in self.linked:
                    self.linked.append(path)
                return False
        return True

    def _own(self, name: str) -> bool:
        return self.owns(self._store.folder / name)

    def _is_old(self, made: float) -> bool:
        return self._since is None or made < self._since


def discard(path: Path, store: ResultsStore) -> bool:
    """Remove a file or a folder of the store; return whether it is gone.

    A folder is renamed away first, so that nobody meets half of it. A link goes itself, what it
    leads to stays.

    Raises
    ------
    StoreError
        When it is outside the store.
    """
    if not path.parent.resolve().is_relative_to(store.folder):
        raise StoreError(f"{path}: outside {store.folder}, so it is not removed")
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return True
        away = path
        if path.parent.name != PARTIAL_FOLDER:
            away = store.folder / PARTIAL_FOLDER / store.partial_name(path.name.replace(".", "-"))
            path.rename(away)
        shutil.rmtree(away)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def discard_lock(path: Path) -> bool:
    """Remove the file of a claim unless somebody holds it; return whether it is gone.

    It is removed while it is held here, and who waits for it notices that and makes a new one.
    """
    lock = FileLock(path)
    try:
        with lock.acquire(timeout=0):
            path.unlink()
    except (Timeout, OSError):
        return False
    return True


def size_of(path: Path) -> int:
    """Return the bytes that a file or folder takes on the disk, links not followed."""
    try:
        size = os.lstat(path).st_blocks * 512
        if path.is_dir() and not path.is_symlink():
            size += sum(size_of(Path(entry.path)) for entry in _scan(path))
    except OSError:
        return 0
    return size


def shown_size(size: float) -> str:
    """Return a size as people read it.

    >>> shown_size(300), shown_size(5_000_000)
    ('300 B', '4.8 MiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _is_free(path: Path) -> bool:
    try:
        with FileLock(path).acquire(timeout=0):
            return True
    except (Timeout, OSError):
        return False


def _is_idle(lock: Path) -> bool:
    """Return whether nobody holds a claim, without making its file."""
    return not lock.exists() or _is_free(lock)


def _touched(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()


def _timestamp(created: str) -> float:
    try:
        return datetime.fromisoformat(created).timestamp()
    except ValueError:
        return time.time()
