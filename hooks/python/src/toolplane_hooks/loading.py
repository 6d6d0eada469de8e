"""Imports what the settings name, and nothing that their allow-lists do not.

Mistakes are collected: each is one line that names the setting.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from types import ModuleType
from typing import Any, cast

_LONGEST_REASON = 300


@dataclass(frozen=True)
class Setting:
    """A variable that names Python code, and the one that says where code may come from."""

    name: str
    prefixes_name: str


HOOKS = Setting("GATEWAY_HOOK_MODULE", "GATEWAY_ALLOWED_HOOK_PREFIXES")
AUTHORIZER = Setting("GATEWAY_CODE_MODE_AUTHORIZER", "GATEWAY_ALLOWED_CODE_MODE_AUTHORIZER_PREFIXES")
TOKEN_PROVIDER = Setting("GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE", "GATEWAY_ALLOWED_REGISTRY_TOKEN_PROVIDER_PREFIXES")


class Mistake(Exception):
    """Something in the settings, or in what they name, that keeps the runner from starting."""


@dataclass
class Loaded:
    """What there is to run."""

    hooks: list[Any] = field(default_factory=list)
    authorizer: Callable[..., Any] | None = None
    token_provider: Callable[[], Any] | None = None
    warnings: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """The value of a setting and of its allow-list, as they were given."""

    setting: Setting
    value: str
    prefixes: str


def load(references: list[Reference]) -> Loaded:
    """Loads everything, past mistakes, so that all of them are known."""
    loaded = Loaded()
    for reference in references:
        try:
            _load(reference, loaded)
        except Mistake as mistake:
            loaded.mistakes.append(f"{reference.setting.name}: {mistake}")
    return loaded


def _load(reference: Reference, loaded: Loaded) -> None:
    setting, value = reference.setting, reference.value.strip()
    if not value:
        return
    prefixes = parse_prefixes(reference)
    if not prefixes:
        loaded.warnings.append(f"{setting.name} is ignored, because {setting.prefixes_name} is not set")
        return
    found = _find(setting, value, prefixes)
    if setting is HOOKS:
        loaded.hooks = _hooks_of(value, found)
    elif setting is AUTHORIZER:
        loaded.authorizer = found
    else:
        loaded.token_provider = _provider_of(value, found)
        if loaded.token_provider is None:
            loaded.warnings.append(f"{setting.name}: `{value}` returned none, so there is no token provider")


def parse_prefixes(reference: Reference) -> list[str]:
    """The entries of an allow-list, without the blanks around them."""
    prefixes = [entry for part in reference.prefixes.split(",") if (entry := part.strip())]
    for prefix in prefixes:
        if any(character.isspace() for character in prefix):
            raise Mistake(f"{reference.setting.prefixes_name} has a prefix with a blank in it: `{prefix}`")
    return prefixes


def is_allowed(module: str, prefixes: list[str]) -> bool:
    """Whether a module is named in the allow-list or lies below one that is."""
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


def _find(setting: Setting, value: str, prefixes: list[str]) -> Callable[..., Any]:
    module_name, colon, attribute = value.rpartition(":")
    if not (colon and module_name and attribute):
        raise Mistake(f"`{value}` must have the form `module.path:name`")
    if not is_allowed(module_name, prefixes):
        raise Mistake(
            f"`{module_name}` is not among {setting.prefixes_name} ({', '.join(prefixes)}), so it is not imported"
        )
    module = _import(module_name)
    try:
        found = attrgetter(attribute)(module)
    except AttributeError:
        raise Mistake(f"module `{module_name}` has no `{attribute}`") from None
    if not callable(found):
        raise Mistake(f"`{value}` is {type(found).__name__}, which cannot be called")
    return cast("Callable[..., Any]", found)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Of the module itself or of a package around it; otherwise it exists and imports something that does not.
        if error.name is not None and (name + ".").startswith(error.name + "."):
            raise Mistake(f"there is no module `{name}` on the Python path") from None
        raise Mistake(f"module `{name}` cannot be imported: {describe(error)}") from error
    except (Exception, SystemExit) as error:
        raise Mistake(f"module `{name}` cannot be imported: {describe(error)}") from error


def _call(value: str, factory: Callable[..., Any]) -> Any:
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise Mistake(f"`{value}` failed: {describe(error)}") from error


def _hooks_of(value: str, factory: Callable[..., Any]) -> list[Any]:
    hooks = _call(value, factory)
    if not isinstance(hooks, list):
        raise Mistake(f"`{value}` must return a list of hooks, it returned {_kind(hooks)}")
    return hooks


def _provider_of(value: str, factory: Callable[..., Any]) -> Callable[[], Any] | None:
    provider = _call(value, factory)
    if provider is None or callable(provider):
        return cast("Callable[[], Any] | None", provider)
    raise Mistake(f"`{value}` must return a function that returns a token, it returned {_kind(provider)}")


def _kind(value: Any) -> str:
    if hasattr(value, "close") and hasattr(value, "cr_code"):
        value.close()
        return "a coroutine: the factory must not be async"
    return type(value).__name__


def describe(error: BaseException) -> str:
    """An exception in one line, with the place it came from."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    if len(text) > _LONGEST_REASON:
        text = text[:_LONGEST_REASON] + "…"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen")
    ]
    if isinstance(error, SyntaxError) or not frames:
        return text
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})"
