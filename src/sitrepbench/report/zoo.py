"""The table of models in ``docs/models.md``; ``python -m sitrepbench.report.zoo`` makes it anew."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from sitrepbench.resources import resource_folder

BEGIN, END = "<!-- models -->", "<!-- /models -->"
PAGE = "docs/models.md"


def models_table(folder: Path) -> str:
    """Return the models of a folder of YAML files as a Markdown table.

    Parameters
    ----------
    folder : Path
        Such as ``conf/model``; each file begins with a comment that says what it is, and has an
        ``_about_``.
    """
    lines = [
        "| `model=` | what it is | from | probabilities | cost | tuned |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for file in sorted(folder.glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        about: dict[str, Any] = yaml.safe_load(text)["_about_"]
        cells = (
            f"`{file.stem}`",
            _first_sentence(text),
            about["source"],
            "yes" if about["probabilities"] else "no",
            about["cost"],
            ", ".join(f"`{path}`" for path in about["space"]) or "nothing",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str, table: str) -> str:
    r"""Return a page with the table between its marks.

    >>> with_table("a <!-- models --> old <!-- /models --> z", "new")
    'a <!-- models -->\nnew\n<!-- /models --> z'
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _first_sentence(text: str) -> str:
    """Return the first sentence of a file's opening comment."""
    words = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    return re.split(r"(?<!et al)\. ", " ".join(words))[0].rstrip(".")


if __name__ == "__main__":
    page = Path(sys.argv[1] if len(sys.argv) > 1 else PAGE)
    table = models_table(resource_folder("conf") / "model")
    page.write_text(with_table(page.read_text(encoding="utf-8"), table), encoding="utf-8")
