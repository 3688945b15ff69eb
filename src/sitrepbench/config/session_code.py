"""Code that was typed into a session and lies in no file, told by what Python made of it."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

SESSION = "__main__"
_DIGEST_LENGTH = 16
#: What a class carries that says nothing about what it does.
_UNTOLD = frozenset(
    {
        "__annotations__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__static_attributes__",
        "__weakref__",
    }
)


def session_digests(located: Any) -> dict[str, str]:
    """Return digests of a session's class or function, and of what it uses of the session.

    Source text is not always there to be read; bytecode is. Comments and the place of a cell do
    not count. What is imported from files does not count either.

    Parameters
    ----------
    located : class or function
        Defined in ``__main__``.

    Returns
    -------
    dict of str to str
        By name, the first 16 hexadecimal digits of a sha256.
    """
    found: dict[str, str] = {}
    waiting = [located]
    while waiting:
        item = waiting.pop()
        name = item.__qualname__
        if name in found:
            continue
        pieces = sorted(_class_pieces(item) if inspect.isclass(item) else _pieces(item))
        found[name] = hashlib.sha256("\n".join(pieces).encode()).hexdigest()[:_DIGEST_LENGTH]
        waiting += _used(item)
    return dict(sorted(found.items()))


def _class_pieces(item: type) -> Iterator[str]:
    yield f"bases {[base.__qualname__ for base in item.__bases__]}"
    for name, member in vars(item).items():
        if name in _UNTOLD:
            continue
        functions = list(_functions(member))
        for function in functions:
            yield from (f"{name} {piece}" for piece in _pieces(function))
        if not functions:
            yield f"{name} {_value(member)}"


def _pieces(function: FunctionType) -> Iterator[str]:
    yield _code(function.__code__)
    yield f"defaults {_value(function.__defaults__)} {_value(function.__kwdefaults__)}"
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name)
        if not callable(value) and not isinstance(value, ModuleType):
            yield f"global {name} {_value(value)}"


def _code(code: CodeType) -> str:
    constants = [
        _code(item) if isinstance(item, CodeType) else _value(item) for item in code.co_consts
    ]
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames))


def _value(value: Any) -> str:
    """Return what tells a value from another one; sets have no order of their own."""
    if isinstance(value, set | frozenset):
        return f"set {sorted(map(repr, value))}"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()
    except Exception:  # a session may hold anything
        return type(value).__qualname__


def _used(item: Any) -> Iterator[Any]:
    """Yield the classes and functions of the session that a class or function uses."""
    if inspect.isclass(item):
        yield from (base for base in item.__bases__ if base.__module__ == SESSION)
    members = vars(item).values() if inspect.isclass(item) else [item]
    for function in [function for member in members for function in _functions(member)]:
        for name in _names(function.__code__):
            value = function.__globals__.get(name)
            of_session = getattr(value, "__module__", None) == SESSION
            if of_session and (inspect.isclass(value) or inspect.isfunction(value)):
                yield value


def _functions(member: Any) -> Iterator[FunctionType]:
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    parts = [member.fget, member.fset, member.fdel] if isinstance(member, property) else [member]
    for part in parts:
        plain = inspect.unwrap(part) if callable(part) else part
        if isinstance(plain, FunctionType):
            yield plain


def _names(code: CodeType) -> set[str]:
    inner = [_names(item) for item in code.co_consts if isinstance(item, CodeType)]
    return set(code.co_names).union(*inner)
