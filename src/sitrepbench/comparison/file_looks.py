"""Looks at test splits by predictions files: recorded before a file is scored, or refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sitrepbench.comparison.gold import Gold
from sitrepbench.errors import DataError, LockedSplitError
from sitrepbench.store.looks import Look, LookLedger, now, who

_KEY_DIGITS = 16


def file_key(path: Path) -> str:
    """Return the key under which the ledger has looks with a predictions file.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    return f"file:{digest[:_KEY_DIGITS]}"


def take_look(path: Path, gold: Gold, ledger: LookLedger, *, reason: str) -> None:
    """Write down that a file is scored on test splits; the same file is not counted twice.

    Parameters
    ----------
    path : Path
        The predictions file.
    gold : Gold
        Of the part; without test splits there is nothing to record.
    ledger : LookLedger
        Of the results store.
    reason : str
        Why; may be empty where the look was taken before.

    Raises
    ------
    LockedSplitError
        When it is a new look, and there is no reason for it.
    StoreError
        When it cannot be recorded.
    """
    if not gold.test_splits:
        return
    key = file_key(path)
    taken = {_taken(look) for look in ledger.read()}
    new = [split for split in gold.test_splits if (key, gold.digest, split) not in taken]
    if not new:
        return
    if not reason.strip():
        raise LockedSplitError(
            f"{path} would be scored on {', '.join(new)}, which is a look at a test split. Say why "
            "with --reason TEXT; it is recorded (sitrepbench looks). Or compare on another part "
            "with --part NAME"
        )
    ledger.path.parent.mkdir(parents=True, exist_ok=True)
    by, time = who(), now()
    ledger.add(
        [Look(gold.dataset, gold.digest, split, key, reason.strip(), by, time) for split in new],
        same=_taken,
    )


def _taken(look: Look) -> tuple[str, str, str]:
    return look.key, look.digest, look.split
