"""The annotation guidelines, condensed for those who label; in full in docs/."""

from __future__ import annotations

QUESTION = "What does the sentence mainly report?"

#: How to choose, for the label scheme of `sitrepbench.labels`.
RULES: tuple[str, ...] = (
    "Look through the attribution: 'X said, claimed, accused Y of P' is labelled by P, however "
    "hedged, true or not, and whoever says it.",
    "Take the main clause. Other clauses and noun phrases give secondary labels; an adjective "
    "('the deadly raid') gives none.",
    "The toll of the event that the main clause reports belongs to it: 'Jets hit the market, "
    "killing six' is casualty_report. A contrasting clause counts like a main clause: 'X blames "
    "Y, while Y rejects it' is denial; '..., which Y rejects' is secondary.",
    "Several equal statements: the first that applies of denial, casualty_report, evacuation, "
    "negotiation, background.",
    "A denial about casualties, talks or an evacuation is denial, with its topic as secondary.",
    "A truce is negotiation where it, or its breach, is what is said; fighting during a truce is "
    "labelled as the fighting. A toll wins over both.",
    "A headline or a caption is a sentence like any other. What cannot be understood alone is "
    "labelled with its neighbours, and marked as needing them.",
)
