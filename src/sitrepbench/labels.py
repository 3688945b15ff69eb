"""The label scheme, version 1.0: the one place that spells the labels.

The unit is one sentence as printed, read with its document at hand; the question is what it
*mainly* reports. Attribution is transparent: "X said that P" is labelled by P. The whole rules
are in ``docs/annotation-guidelines.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEME_VERSION = "1.0"


@dataclass(frozen=True)
class LabelDefinition:
    """One label: what a sentence reports that bears it, and what does not count."""

    name: str
    reports: str
    excludes: str


DEFINITIONS: tuple[LabelDefinition, ...] = (
    LabelDefinition(
        "casualty_report",
        "people killed, wounded, found dead, missing and presumed dead, dying of hunger, cold or "
        "gas; a toll, also a cumulative one or none so far; a statement that nobody was hurt",
        "damage to things only; threats; people detained; the trial or condemnation that follows "
        "a killing; a death mentioned only to identify something else",
    ),
    LabelDefinition(
        "denial",
        "somebody denies, rejects, disputes or contradicts an identifiable claim or "
        "responsibility, calls it staged or baseless, or answers it with a counter-version",
        "a plain negative statement that answers nobody; refusing an offer or an order; "
        "declining to comment; denying access or aid; condemning",
    ),
    LabelDefinition(
        "negotiation",
        "talks, mediation, offers, demands and ultimatums put as terms; truces as such, also "
        "breached ones; deals; exchanges of prisoners; surrender terms",
        "diplomacy without a conflict at its heart; rhetorical conditions; fighting that happens "
        "during a truce; people actually moving under a deal",
    ),
    LabelDefinition(
        "evacuation",
        "people leaving danger or being moved out of it and what becomes of them: convoys, "
        "flight, displacement and its counts, shelter; orders to leave; an evacuation that fails",
        "a military retreat without a deal; a deal to evacuate that is only agreed; a dash for "
        "cover; aid going in",
    ),
    LabelDefinition(
        "background",
        "everything else: fighting and territory without casualties, damage, aid, history, "
        "analysis, political statements, arrests, weapons, captions, notes on sources",
        "",
    ),
)

LABELS: tuple[str, ...] = tuple(definition.name for definition in DEFINITIONS)
