"""Whether somebody looked at a test split while models were still being chosen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sitrepbench.checks.check import Answer, Check, Finding, NotApplicable, Severity
from sitrepbench.checks.material import CheckedRun, Material, listed, names_of
from sitrepbench.store.looks import Look
from sitrepbench.wording import one_line

#: From so many runs on, the best test score is a maximum and no estimate.
MANY = 5
_SHOWN_REASON = 40


def _moment(time: str) -> datetime:
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _by_hand(looks: Iterable[Look]) -> list[Look]:
    """Return the looks that no committed study declared beforehand."""
    return [look for look in looks if not look.study]


def _digests(run: CheckedRun) -> set[str]:
    """Return the data that a run was developed on."""
    data = run.record.key_parts["data"]
    return {str(data["training"]), str(data["scored"])}


def peeks(material: Material) -> Answer:
    """Find looks at a test split that came before runs on the development data."""
    developing = [run for run in material.runs if run.develops]
    if not developing:
        return NotApplicable("no run scores a development part")
    findings = []
    for look in _by_hand(material.looks):
        later = [
            run
            for run in developing
            if look.digest in _digests(run)
            and run.record.key != look.key
            and _moment(look.time) <= _moment(run.record.created)
        ]
        if later:
            message = (
                f"{look.by} looked at {look.dataset}/{look.split} on {look.time[:16]} by run "
                f"{look.key[:8]} ({one_line(look.reason, _SHOWN_REASON)!r}), and {len(later)} of "
                f"{len(developing)} development runs were made after it: {listed(names_of(later))}"
            )
            findings.append(Finding(message, names_of(later)))
    return findings


def _looks_of(run: CheckedRun, looks: Iterable[Look]) -> list[Look]:
    return [look for look in looks if look.key == run.record.key]


def searched_with_test(material: Material) -> Answer:
    """Find searches whose test scores no committed study has declared."""
    searched = [run for run in material.runs if run.search is not None and run.test_parts]
    if not searched:
        return NotApplicable("no run that searched its settings has scored a test part")
    found = [run for run in searched if not any(k.study for k in _looks_of(run, material.looks))]
    return [
        Finding(
            f"{run.name} searched its settings and scored {listed(run.test_parts)} without a "
            "committed study that declares it (final_test)",
            (run.name,),
        )
        for run in found
    ]


def many_looks(material: Material) -> Answer:
    """Find test splits that many different runs were tried on."""
    if not material.runs:
        return NotApplicable("there is no finished run")
    digests = {digest for run in material.runs for digest in _digests(run)}
    keys: dict[tuple[str, str, str], set[str]] = {}
    for look in _by_hand(material.looks):
        if look.digest in digests:
            keys.setdefault((look.dataset, look.digest, look.split), set()).add(look.key)
    return [
        Finding(
            f"{len(runs)} different runs were scored by hand on {dataset}/{split}; the best of "
            "them is best by luck too"
        )
        for (dataset, _, split), runs in keys.items()
        if len(runs) >= MANY
    ]


def unrecorded(material: Material) -> Answer:
    """Find test scores that the ledger of looks does not know."""
    scored = [run for run in material.runs if run.test_parts]
    if not scored:
        return NotApplicable("no run has scored a test part")
    unknown = [run for run in scored if not _looks_of(run, material.looks)]
    if not unknown:
        return []
    message = (
        f"{len(unknown)} run(s) have test scores, and the ledger of looks has none of theirs: "
        f"{listed(names_of(unknown))}"
    )
    return [Finding(message, names_of(unknown))]


CHECKS = (
    Check(
        "SB021",
        "The test split was looked at during development",
        Severity.error,
        "Whoever knows test scores chooses by them, willing or not, and models that are made "
        "afterwards are fitted to the test split by hand. Looks that a committed study declares "
        "in advance do not count.",
        "Say so wherever the scores stand, and take fresh data for the final score. "
        "'sitrepbench looks' lists all looks.",
        peeks,
    ),
    Check(
        "SB022",
        "A search came with test scores",
        Severity.error,
        "A search that can be repeated with its test score in sight becomes a search for the test "
        "score.",
        "Search on dev or by cross-validation; score the test split once, in a committed study "
        "with 'final_test: <reason>'.",
        searched_with_test,
    ),
    Check(
        "SB023",
        "Many runs were tried on one test split",
        Severity.warning,
        f"The best of {MANY} or more test scores is too high even where nobody meant to choose.",
        "Choose on dev, and score what was chosen. State how many looks there were.",
        many_looks,
    ),
    Check(
        "SB024",
        "A test score without a recorded look",
        Severity.error,
        "Each look is written into the store's looks.jsonl before the split is read. Where it is "
        "not there, the ledger was cut, or the run was brought from another store without it.",
        "Bring the ledger along, or compute the run again in this store.",
        unrecorded,
    ),
)
