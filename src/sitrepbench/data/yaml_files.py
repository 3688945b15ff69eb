"""YAML that anybody may have written: read, or told with its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import yaml

from sitrepbench.data.problems import ProblemReport, shown

Parsed = TypeVar("Parsed")


def parse_yaml(data: bytes, report: ProblemReport, load: Callable[[str], Parsed]) -> Parsed | None:
    """Return what ``load`` makes of a YAML file that anybody may have written.

    None where it is no UTF-8 or no YAML, which the report then tells with its line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.add(
            "invalid_utf8", f"byte 0x{data[error.start]:02X} is not UTF-8; save it so", line=line
        )
        return None
    try:
        return load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "not YAML"
        report.add("invalid_yaml", what, line=None if mark is None else mark.line + 1)
    # PyYAML lets these escape for tags that do not fit their value, such as `!!int ""`.
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        report.add("invalid_yaml", f"not YAML: {shown(str(error), limit=200)}")
    return None
