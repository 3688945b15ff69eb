"""Which annotator has which account in Label Studio: by number or by e-mail address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sitrepbench.data.problems import shown
from sitrepbench.errors import ConfigError

#: An account's number has at most so many digits.
_DIGITS = 18


@dataclass(frozen=True)
class Accounts:
    """The accounts of annotators.

    Parameters
    ----------
    by_name : mapping of str to str
        An annotator's name to an account: its number or its e-mail address. Numbers and
        addresses that nobody is mapped to are names by themselves.
    """

    by_name: Mapping[str, str]

    @classmethod
    def of(cls, pairs: Iterable[str]) -> Accounts:
        """Read ``NAME=ACCOUNT`` pairs; an account of several names, or the reverse, is refused.

        Raises
        ------
        ConfigError
            With every pair that is wrong.

        Examples
        --------
        >>> Accounts.of(["ana=1", "ben=ben@example.org"]).name_of("1")
        'ana'
        """
        by_name: dict[str, str] = {}
        found = []
        for pair in pairs:
            name, mark, account = (part.strip() for part in pair.rpartition("="))
            if not (mark and name and account):
                found.append(f"{shown(pair)}: expected NAME=ACCOUNT, such as ana=1")
            elif not (_is_number(account) or "@" in account):
                found.append(f"{shown(pair)}: an account is a number or an e-mail address")
            elif by_name.setdefault(name, account) != account:
                found.append(f"{shown(name)} has two accounts: {by_name[name]} and {account}")
            elif list(by_name.values()).count(account) > 1:
                found.append(f"account {account} has two names: {', '.join(by_name)}")
        if found:
            raise ConfigError("\n".join(f"--annotator: {problem}" for problem in found))
        return cls(by_name)

    def name_of(self, *known_as: str) -> str:
        """Return the name of who is known as all of these, by default the first of them."""
        for name, account in self.by_name.items():
            if account in known_as:
                return name
        return known_as[0]

    def completed_by(self, names: Iterable[str]) -> dict[str, Any]:
        """Return how a task names the account of each annotator: a number, or an address.

        Raises
        ------
        ConfigError
            With every annotator who has none.
        """
        found: dict[str, Any] = {}
        missing = []
        for name in names:
            account = self.by_name.get(name, name)
            if _is_number(account):
                found[name] = int(account)
            elif "@" in account:
                found[name] = {"email": account}
            else:
                missing.append(name)
        if missing:
            raise ConfigError(
                f"no account of Label Studio is known for: {', '.join(map(shown, missing))}. Give "
                "--annotator NAME=ACCOUNT for each (the number or the e-mail address of a member "
                "of the project's organisation), --existing predictions to show the labels as "
                "suggestions, or --existing none to leave them out"
            )
        return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS
