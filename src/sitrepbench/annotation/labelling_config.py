"""The labelling configuration of Label Studio: labels, hotkeys, context and guidelines."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from sitrepbench.annotation.guidelines import QUESTION, RULES
from sitrepbench.annotation.names import (
    AFTER,
    BEFORE,
    COMMENT_CONTROL,
    CONTEXT_CHOICE,
    CONTEXT_CONTROL,
    LABEL_CONTROL,
    SECONDARY_CONTROL,
    TEXT_OBJECT,
)
from sitrepbench.data.fields import label_set_problems
from sitrepbench.data.validation import BACKGROUND
from sitrepbench.errors import ConfigError
from sitrepbench.labels import DEFINITIONS, LABELS, SCHEME_VERSION

#: The keys for primary and secondary labels, in the order of the label set.
PRIMARY_KEYS = "1234567890"
SECONDARY_KEYS = "qwertyuiop"
CONTEXT_KEY = "n"

#: Label Studio sets every header as a title, and all texts alike: rules would be read as titles,
#: and the sentence to label would not stand out from its neighbours.
_STYLE = """
    .sitrep-rules h4 { font-size: 14px; font-weight: 400; line-height: 1.5; }
    .sitrep-questions h4 { font-size: 16px; }
    .sitrep-neighbour { opacity: 0.7; margin-top: 8px; }
    .sitrep-sentence { border-left: 4px solid #4c5fa9; margin: 8px 0; padding-left: 8px; }
    .sitrep-sentence * { font-size: 20px; line-height: 1.5; }
  """


def labelling_config(labels: Sequence[str] = LABELS) -> str:
    """Return the configuration (XML) for *Settings > Labeling Interface > Code*.

    The primary label is one required choice, secondary labels are any number of choices; both
    have hotkeys as far as the keyboard's rows reach. The sentences before and after are shown
    around the one to label. The condensed guidelines are shown for the scheme's own labels.

    Parameters
    ----------
    labels : sequence of str
        The label set, in order.

    Raises
    ------
    ConfigError
        When the label set is none.

    Examples
    --------
    >>> print(labelling_config(["fire", "flood"]).splitlines()[0])
    <View>
    """
    problems = label_set_problems(labels)
    if problems:
        raise ConfigError("\n".join(f"label set: {problem}" for problem in problems))
    page = ET.Element("View")
    ET.SubElement(page, "Style").text = _STYLE
    _add_guidelines(page, labels)
    _add_sentence(page)
    view = ET.SubElement(page, "View", {"className": "sitrep-questions"})
    _add_choices(view, LABEL_CONTROL, QUESTION, labels, keys=PRIMARY_KEYS, single=True)
    _add_choices(
        view,
        SECONDARY_CONTROL,
        "What else does it report? (any number, or nothing)",
        [label for label in labels if label != BACKGROUND],
        keys=SECONDARY_KEYS,
    )
    context = ET.SubElement(
        view,
        "Choices",
        {"name": CONTEXT_CONTROL, "toName": TEXT_OBJECT, "choice": "multiple"},
    )
    told = {"value": "needs its neighbours to be understood", "alias": CONTEXT_CHOICE}
    ET.SubElement(context, "Choice", {**told, "hotkey": CONTEXT_KEY})
    _add_header(view, "Comment (optional)")
    attributes = {"name": COMMENT_CONTROL, "toName": TEXT_OBJECT, "rows": "2"}
    ET.SubElement(view, "TextArea", {**attributes, "maxSubmissions": "1", "editable": "true"})
    ET.indent(page)
    return ET.tostring(page, encoding="unicode") + "\n"


def _add_guidelines(view: ET.Element, labels: Sequence[str]) -> None:
    """Add the rules in a panel that folds away; only for labels that they are about."""
    known = [definition for definition in DEFINITIONS if definition.name in labels]
    if not known:
        return
    collapse = ET.SubElement(view, "Collapse")
    title = f"Guidelines (label scheme {SCHEME_VERSION})"
    panel = ET.SubElement(collapse, "Panel", {"value": title})
    inner = ET.SubElement(panel, "View", {"className": "sitrep-rules"})
    for definition in known:
        text = f"{definition.name}: {definition.reports}."
        if definition.excludes:
            text += f" Not: {definition.excludes}."
        _add_header(inner, text)
    if set(labels) == set(LABELS):
        for number, rule in enumerate(RULES, start=1):
            _add_header(inner, f"{number}. {rule}")


def _add_sentence(view: ET.Element) -> None:
    """Add the sentence between its neighbours, which are smaller and paler."""
    for name in (BEFORE, TEXT_OBJECT, AFTER):
        looks = "sitrep-sentence" if name == TEXT_OBJECT else "sitrep-neighbour"
        box = ET.SubElement(view, "View", {"className": looks})
        ET.SubElement(box, "Text", {"name": name, "value": f"${name}"})


def _add_choices(
    view: ET.Element,
    name: str,
    question: str,
    labels: Sequence[str],
    *,
    keys: str,
    single: bool = False,
) -> None:
    _add_header(view, question)
    attributes = {"name": name, "toName": TEXT_OBJECT, "showInline": "true"}
    if single:
        attributes |= {"choice": "single", "required": "true"}
        attributes |= {"requiredMessage": "Choose the primary label."}
    else:
        attributes |= {"choice": "multiple"}
    choices = ET.SubElement(view, "Choices", attributes)
    reports = {definition.name: definition.reports for definition in DEFINITIONS}
    for place, label in enumerate(labels):
        choice = ET.SubElement(choices, "Choice", {"value": label})
        if place < len(keys):
            choice.set("hotkey", keys[place])
        if label in reports:
            choice.set("hint", reports[label])


def _add_header(view: ET.Element, text: str) -> None:
    ET.SubElement(view, "Header", {"value": text, "size": "5"})
