"""Composing the jobs of a sweep: Hydra's result for every job, at a hundredth of its cost.

Hydra composes every job of a sweep from its files, 50 ms each. Here a choice of groups is composed
once (see `sitrepbench.config.choices`), and plain values are set on it with Hydra's own code. Of
the result only the parts under the keys that a job sets are new; the others are shared. What does
not allow this is composed from the start, by Hydra: keys of ``hydra``, unusual keys, and all that
fails, so that errors are Hydra's as well.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from sitrepbench.config.choices import HYDRA, ChoiceComposer
from sitrepbench.config.compose import COMPOSITION_ERRORS, explained_by
from sitrepbench.config.overrides import parse_override
from sitrepbench.config.run_config import (
    RunConfig,
    check_config,
    check_top_level,
    group_names,
    plain_values,
)
from sitrepbench.config.schema import GROUPS
from sitrepbench.config.sweep_problems import SweepProblems
from sitrepbench.config.targets import TARGET, check_targets, target_problems
from sitrepbench.errors import ConfigError

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.\w+)*", re.ASCII)


def compose_jobs(
    loader: ConfigLoader, master: DictConfig, job_overrides: Sequence[Sequence[str]]
) -> list[RunConfig]:
    """Return the checked configuration of every job of a sweep.

    Each equals ``check_config(loader.load_sweep_config(master, overrides))``. The trees of
    different jobs share their equal parts, so they must not be changed.

    Parameters
    ----------
    loader : ConfigLoader
        Hydra's, which knows the search path.
    master : DictConfig
        The sweep's own configuration, as Hydra gives it to a launcher.
    job_overrides : sequence of sequence of str
        What each job sets, in order.

    Raises
    ------
    ConfigError
        One, with every distinct problem and how many jobs have it.
    """
    return JobComposer(loader, master).compose(job_overrides)


@dataclass
class _Part:
    """The value of one top-level key, plain, and what is wrong with it."""

    value: Any
    problems: list[str]


@dataclass
class _Base:
    """A choice of groups that jobs set values on.

    Parameters
    ----------
    config : DictConfig
        Composed, without the ``hydra`` node.
    names : dict
        The chosen option of each of this program's groups.
    plain : dict or None
        Its values; None where keys are tied to each other by interpolations, or where something
        is missing, so that each job has to be resolved and checked as a whole.
    """

    config: DictConfig
    names: dict[str, str]
    plain: dict[str, Any] | None = None
    problems: dict[str, list[str]] = field(default_factory=dict)
    #: By top-level key and the overrides below it.
    parts: dict[tuple[str, ...], _Part] = field(default_factory=dict)


class _NotByPartsError(Exception):
    """A job that is more than the sum of its parts."""


class _RefusedError(Exception):
    """An override that Hydra does not accept."""

    def __init__(self, override: Override, error: Exception) -> None:
        super().__init__(str(error))
        self.key = str(override.get_key_element())
        self.kind = type(error)


class JobComposer:
    """Composes jobs of one sweep; a later batch uses what an earlier one has composed.

    Parameters
    ----------
    loader, master
        As in `compose_jobs`.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._choices = ChoiceComposer(loader, master)
        self._bases: dict[tuple[str, ...], _Base | Exception] = {}

    def compose(self, job_overrides: Sequence[Sequence[str]]) -> list[RunConfig]:
        """Return the checked configuration of every job; see `compose_jobs`."""
        configs: list[RunConfig] = []
        problems = SweepProblems(lambda error, given: explained_by(self._loader, error, given))
        for overrides in job_overrides:
            lines = tuple(overrides)
            try:
                try:
                    configs.append(self._compose_quickly(lines))
                except _RefusedError as error:
                    if problems.is_told_enough(error.key, error.kind):
                        problems.add_alike(error.key)
                    else:
                        configs.append(self._compose_fully(lines))
                except _NotByPartsError:
                    configs.append(self._compose_fully(lines))
            except (ConfigError, *COMPOSITION_ERRORS) as error:
                problems.add(error, lines)
        problems.raise_if_any(len(job_overrides))
        return configs

    def _compose_fully(self, lines: tuple[str, ...]) -> RunConfig:
        return check_config(self._loader.load_sweep_config(self._master, list(lines)))

    def _compose_quickly(self, lines: tuple[str, ...]) -> RunConfig:
        chosen, values = self._split(lines)
        base = self._base(chosen)
        if base.plain is None or any("$" in line for line in lines):
            return _compose_whole(base, lines, values)
        try:
            return _compose_by_parts(base, base.plain, lines, values)
        except _NotByPartsError:
            return _compose_whole(base, lines, values)

    def _split(self, lines: tuple[str, ...]) -> tuple[list[Override], list[Override]]:
        """Return the choices of groups, and the values to set."""
        chosen, values = [], []
        for line in lines:
            override = parse_override(line)
            key = override.key_or_group
            if override.is_sweep_override() or override.is_hydra_override() or key == HYDRA:
                raise _NotByPartsError
            if self._choices.is_group(key):
                if not isinstance(override.value(), str | None):
                    raise _NotByPartsError
                chosen.append(override)
            elif override.package is None and _DOTTED.fullmatch(key):
                values.append(override)
            else:
                raise _NotByPartsError
        return chosen, values

    def _base(self, chosen: Sequence[Override]) -> _Base:
        key = tuple(str(override.input_line) for override in chosen)
        if key not in self._bases:
            try:
                found = self._choices.compose(chosen)
                self._bases[key] = _prepared(_Base(found.config, group_names(found.names)))
            except COMPOSITION_ERRORS as error:
                # Values are set on what a choice composes to, so no value mends this.
                self._bases[key] = error
        base = self._bases[key]
        if isinstance(base, Exception):
            raise base.with_traceback(None)
        return base


def _prepared(base: _Base) -> _Base:
    """Fill in a base's plain values, if jobs can be put together from parts."""
    if _has_interpolations(OmegaConf.to_container(base.config, resolve=False)):
        return base
    try:
        plain = plain_values(base.config)
        check_top_level(plain, base.names)
    except ConfigError:
        return base  # a job's own values may mend it
    base.plain = plain
    base.problems = {top: target_problems(value, top) for top, value in plain.items()}
    return base


def _has_interpolations(node: Any) -> bool:
    if isinstance(node, dict):
        return any(_has_interpolations(value) for value in node.values())
    if isinstance(node, list):
        return any(_has_interpolations(value) for value in node)
    return isinstance(node, str) and "${" in node


def _compose_by_parts(
    base: _Base, plain: Mapping[str, Any], lines: tuple[str, ...], values: Sequence[Override]
) -> RunConfig:
    by_top: dict[str, list[Override]] = {}
    for override in values:
        by_top.setdefault(override.key_or_group.partition(".")[0], []).append(override)
    tree, problems = dict(plain), dict(base.problems)
    for top, overrides in by_top.items():
        key = (top, *(str(override.input_line) for override in overrides))
        if key not in base.parts:
            base.parts[key] = _compose_part(base, top, overrides)
        tree[top], problems[top] = base.parts[key].value, base.parts[key].problems
    told = [problem for top in tree for problem in problems[top]]
    if told:
        raise ConfigError("\n".join(told))
    return RunConfig(tree, base.names, lines)


def _compose_part(base: _Base, top: str, overrides: Sequence[Override]) -> _Part:
    """Set values below one top-level key of a base, take what comes of it, and set them back."""
    root = base.config.__dict__
    with _set_back(base.config) as put_aside:
        before = root["_content"].keys()
        for override in overrides:
            put_aside(override)
            _set_value(base.config, override)
        if root["_content"].keys() != before:
            raise _NotByPartsError
        # The type of the whole decides how a part is resolved, so it is resolved within it.
        root["_content"] = {top: root["_content"][top]}
        value = plain_values(base.config)[top]
    if top in GROUPS and not (isinstance(value, dict) and TARGET in value):
        raise _NotByPartsError
    return _Part(value, target_problems(value, top))


def _compose_whole(base: _Base, lines: tuple[str, ...], values: Sequence[Override]) -> RunConfig:
    """Set a job's values on a base, resolve and check it as a whole, and set them back."""
    with _set_back(base.config) as put_aside:
        for override in values:
            put_aside(override)
            _set_value(base.config, override)
        plain = plain_values(base.config)
    check_top_level(plain, base.names)
    check_targets(plain)
    return RunConfig(plain, base.names, lines)


@contextlib.contextmanager
def _set_back(config: DictConfig) -> Iterator[Callable[[Override], None]]:
    """Yield what must be told an override before it is applied; at the end all is as before.

    Copying all nodes would cost ten times as much as setting a value: so what an override can
    touch, the mappings on its key's way and the node at its end, is put aside instead.
    """
    aside: list[tuple[DictConfig, Any]] = []

    def put_aside(override: Override) -> None:
        node, names = config, override.key_or_group.split(".")
        for name in names[:-1]:
            content = _put_aside(node)
            if name not in content:
                return  # what is made from here on is new
            node = content[name]
            if not (isinstance(node, DictConfig) and isinstance(node._content, dict)):
                # Nothing, a list, or an interpolation that leads to who knows where.
                raise _NotByPartsError
        content = _put_aside(node)
        if names[-1] in content:
            content[names[-1]] = copy.deepcopy(content[names[-1]])
            if content[names[-1]]._is_interpolation() and not _is_scalar(override.value()):
                raise _NotByPartsError  # it would be merged into what is pointed to

    def _put_aside(node: DictConfig) -> dict[Any, Any]:
        aside.append((node, node._content))
        node.__dict__["_content"] = dict(node.__dict__["_content"])
        return node.__dict__["_content"]  # type: ignore[no-any-return]

    _put_aside(config)
    try:
        yield put_aside
    finally:
        for node, content in reversed(aside):
            node.__dict__["_content"] = content


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _set_value(config: DictConfig, override: Override) -> None:
    try:
        ConfigLoaderImpl._apply_overrides_to_config([override], config)
    except Exception as error:
        raise _RefusedError(override, error) from error
