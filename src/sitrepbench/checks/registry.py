"""All checks, in the order of their codes."""

from __future__ import annotations

from collections.abc import Sequence

from sitrepbench.checks import answers, budgets, claims, comparability, leaks, looking
from sitrepbench.checks.check import Check
from sitrepbench.errors import ConfigError, did_you_mean

CHECKS: tuple[Check, ...] = (
    *comparability.CHECKS,
    *leaks.CHECKS,
    *looking.CHECKS,
    *budgets.CHECKS,
    *claims.CHECKS,
    *answers.CHECKS,
)


def find_check(code: str) -> Check:
    """Return the check of a code, in any case.

    Raises
    ------
    ConfigError
        When there is none.

    Examples
    --------
    >>> find_check("sb001").title
    'Compared runs read different data'
    """
    return find_checks([code])[0]


def find_checks(codes: Sequence[str]) -> list[Check]:
    """Return the checks of some codes; `ConfigError` naming all that there are not."""
    known = {check.code: check for check in CHECKS}
    wanted = [code.strip().upper() for code in codes]
    unknown = [code for code in wanted if code not in known]
    if unknown:
        told = "\n".join(f"no check {code!r}.{did_you_mean(code, known)}" for code in unknown)
        raise ConfigError(f"{told}\n'sitrepbench check --list' shows all checks")
    return [known[code] for code in wanted]


def chosen_checks(*, only: str | None = None, skip: str | None = None) -> list[Check]:
    """Return the checks to ask, from codes joined by commas, in the order of their codes."""
    kept = list(CHECKS) if only is None else find_checks(_codes(only))
    left = set() if skip is None else {check.code for check in find_checks(_codes(skip))}
    chosen = {check.code for check in kept} - left
    if not chosen:
        raise ConfigError("no check is left; see 'sitrepbench check --list'")
    return [check for check in CHECKS if check.code in chosen]


def _codes(text: str) -> list[str]:
    return [code for code in text.split(",") if code.strip()]
