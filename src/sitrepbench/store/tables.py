"""Copies of tables that came from Python, so that a run on them can be repeated.

<results>/tables/<digest>.parquet      by the digest of its bytes
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sitrepbench.errors import DataError, StoreError

if TYPE_CHECKING:
    import pandas as pd

TABLES_FOLDER = "tables"
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class StoredTable:
    """A table as a Parquet file that is not written yet.

    Parameters
    ----------
    file : str
        Its name, after its content.
    content : bytes
        The file's bytes.
    """

    file: str
    content: bytes

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """Turn a DataFrame into a file; its index does not count.

        Raises
        ------
        DataError
            When a column holds values that Parquet cannot hold.
        """
        buffer = io.BytesIO()
        named = frame.rename(columns=str)
        try:
            named.to_parquet(buffer, index=False)
        except Exception as error:  # pyarrow's many, and pandas' own
            raise DataError(
                f"the DataFrame cannot be kept as a table: {error}. Give every column one type "
                "and every column a name of its own"
            ) from error
        content = buffer.getvalue()
        digest = hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]
        return cls(f"{digest}.parquet", content)

    def write(self, results_dir: Path) -> Path:
        """Write the file into a results store unless it is there, and return its path.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        path = results_dir / TABLES_FOLDER / self.file
        beside = path.with_name(f".{self.file}.{os.getpid()}")
        try:
            if path.is_file() and path.read_bytes() == self.content:
                return path
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(self.content)
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
        return path
