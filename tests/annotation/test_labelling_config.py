"""The labelling configuration: what it asks, and with which keys."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sitrepbench.annotation.guidelines import RULES
from sitrepbench.annotation.labelling_config import labelling_config
from sitrepbench.errors import ConfigError
from sitrepbench.labels import LABELS


def control(config: str, name: str) -> ET.Element:
    found = ET.fromstring(config).find(f".//*[@name='{name}']")
    assert found is not None
    return found


def test_the_five_labels_once_and_required() -> None:
    label = control(labelling_config(), "label")
    assert [choice.get("value") for choice in label] == list(LABELS)
    assert (label.get("choice"), label.get("required")) == ("single", "true")
    secondary = control(labelling_config(), "secondary")
    assert secondary.get("choice") == "multiple"
    assert "background" not in [choice.get("value") for choice in secondary]


def test_no_key_is_given_twice() -> None:
    many = [f"label_{number}" for number in range(14)]
    for labels in (LABELS, many):
        keys = [
            node.get("hotkey") for node in ET.fromstring(labelling_config(labels)).iter("Choice")
        ]
        given = [key for key in keys if key is not None]
        assert len(given) == len(set(given)) > 8


def test_guidelines_only_for_labels_that_they_are_about() -> None:
    assert "Look through the attribution" in labelling_config()
    assert "Guidelines" not in labelling_config(["fire", "flood"])
    some = labelling_config(["denial", "other"])
    assert "denial: somebody denies" in some
    assert "Look through the attribution" not in some


def test_every_control_labels_an_object_that_is_there() -> None:
    root = ET.fromstring(labelling_config())
    objects = {node.get("name") for node in root.iter("Text")}
    assert objects == {"before", "text", "after"}
    assert {node.get("toName") for node in root.iter() if node.get("toName")} == {"text"}


def test_what_is_styled_is_there_and_rules_are_not_set_as_titles() -> None:
    root = ET.fromstring(labelling_config())
    style = root.find("Style")
    assert style is not None
    named = {node.get("className") for node in root.iter("View")} - {None}
    assert named == set(re.findall(r"\.([a-z][\w-]*)", style.text or ""))
    rules = root.findall(".//View[@className='sitrep-rules']/Header")
    assert len(rules) == len(LABELS) + len(RULES)
    (sentence,) = root.findall(".//View[@className='sitrep-sentence']/Text")
    assert sentence.get("name") == "text"


def test_a_label_set_that_is_none() -> None:
    with pytest.raises(ConfigError, match="expected at least 2 labels"):
        labelling_config(["one"])


def test_the_rules_follow_the_guidelines(repository: Path) -> None:
    # A new scheme version changes the guidelines, and the condensed ones with them.
    guidelines = (repository / "docs/annotation-guidelines.md").read_text(encoding="utf-8")
    version = guidelines.splitlines()[0].rpartition(" ")[2]
    assert f"Guidelines (label scheme {version})" in labelling_config()
