"""Offers the names of the reference gateway under `fastmcp_gateway`, where that package is not installed.

A finder at the end of `sys.meta_path` is asked when nobody else has the module, so an installed package wins.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, NoReturn, cast

from . import contexts, results, tools

REFERENCE = "fastmcp_gateway"

# The newest release whose hooks run here unchanged.
_REFERENCE_VERSION = "0.28.0"


@dataclass
class GatewayError:
    """An error as the gateway's tools report it."""

    error: str
    code: str
    details: dict[str, Any] | None = None

    def model_dump(self) -> dict[str, Any]:
        """All fields in a dictionary."""
        return asdict(self)


class OutputGuardError(ValueError):
    """Raised by nobody here; for modules that catch it."""


def _setting_instead(name: str, replacement: str) -> type:
    """A class that can be imported and named in annotations, and says when called what replaces it."""

    def refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
        raise RuntimeError(f"{name} has no counterpart in a hook module: {replacement}")

    return type(name, (), {"__init__": refuse, "__doc__": f"Cannot be made here: {replacement}."})


_GatewayServer = _setting_instead("GatewayServer", "the gateway runs this module as GATEWAY_HOOK_MODULE")
_AccessPolicy = _setting_instead("AccessPolicy", "set GATEWAY_ACCESS_POLICY")
_OutputGuardConfig = _setting_instead("OutputGuardConfig", "set GATEWAY_OUTPUT_GUARD")
_OutputGuardHook = _setting_instead("OutputGuardHook", "set GATEWAY_OUTPUT_GUARD")

_MODULES: dict[str, dict[str, Any]] = {
    "hooks": {
        "ExecutionContext": contexts.ExecutionContext,
        "ExecutionDenied": contexts.ExecutionDenied,
        "Hook": contexts.Hook,
        "HookRunner": contexts.HookRunner,
        "ListToolsContext": contexts.ListToolsContext,
        "CallToolResult": results.CallToolResult,
    },
    "registry": {"ToolEntry": tools.ToolEntry},
    "errors": {"GatewayError": GatewayError, "OutputGuardError": OutputGuardError},
    "client_manager": {"get_user_headers": contexts.get_user_headers},
    "access_policy": {"AccessPolicy": _AccessPolicy},
    "gateway": {"GatewayServer": _GatewayServer},
    "output_guard": {"OutputGuardConfig": _OutputGuardConfig, "OutputGuardHook": _OutputGuardHook},
}

_TOP = (
    "AccessPolicy",
    "ExecutionContext",
    "ExecutionDenied",
    "GatewayError",
    "GatewayServer",
    "Hook",
    "HookRunner",
    "ListToolsContext",
    "OutputGuardConfig",
    "OutputGuardError",
    "OutputGuardHook",
    "get_user_headers",
)


def _names_of(module: str) -> dict[str, Any]:
    if module != REFERENCE:
        return _MODULES[module.removeprefix(REFERENCE + ".")]
    every = {name: value for names in _MODULES.values() for name, value in names.items()}
    return {"__version__": _REFERENCE_VERSION, **{name: every[name] for name in _TOP}}


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        names = _names_of(module.__name__)
        module.__doc__ = "Names of the reference gateway, offered by toolplane_hooks."
        module.__dict__.update(names)
        module.__dict__["__all__"] = [name for name in names if not name.startswith("_")]


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == REFERENCE:
            return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=True)
        package, _, name = fullname.partition(".")
        # Only inside of the package that this finder made, never to fill a gap of the installed one.
        if package == REFERENCE and name in _MODULES and is_offered():
            return importlib.machinery.ModuleSpec(fullname, _Loader())
        return None


def is_offered() -> bool:
    """Whether `fastmcp_gateway` was imported and is ours."""
    module = sys.modules.get(REFERENCE)
    return module is not None and isinstance(getattr(module, "__loader__", None), _Loader)


def install() -> None:
    """Makes the names importable; does nothing the second time."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def settle() -> None:
    """To be called when modules are loaded: the installed package, if one of them imported it, asks us for headers."""
    client_manager = sys.modules.get(f"{REFERENCE}.client_manager")
    if client_manager is not None and hasattr(client_manager, "get_http_headers"):
        # Its `get_user_headers` looks this up at every call. What it has there knows its own requests only.
        vars(client_manager)["get_http_headers"] = contexts.get_user_headers


def _in_use(name: str, ours: Any) -> Any:
    found = getattr(sys.modules.get(f"{REFERENCE}.hooks"), name, None)
    return found if callable(found) else ours


def protocol() -> type:
    """The class `Hook` that hooks may derive from. Its methods are no hooks."""
    return cast("type", _in_use("Hook", contexts.Hook))


def context_classes() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two context classes that a loaded hook module may have imported: ours, or those of the installed package."""
    return (
        _in_use("ExecutionContext", contexts.ExecutionContext),
        _in_use("ListToolsContext", contexts.ListToolsContext),
    )


def is_denial(error: BaseException) -> bool:
    """Whether an exception refuses a call: our class, or one of that name with the same attributes."""
    if isinstance(error, contexts.ExecutionDenied):
        return True
    is_named_so = any(base.__name__ == "ExecutionDenied" for base in type(error).__mro__)
    return is_named_so and hasattr(error, "code") and hasattr(error, "message")
