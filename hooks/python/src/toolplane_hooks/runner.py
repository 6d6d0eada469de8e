"""The process: loads, says that it is ready, serves, and ends with its parent."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import stat
import sys
from collections.abc import Sequence
from typing import Any

from . import compat, ending, loading, options, server, wire
from .service import Service

logger = logging.getLogger("toolplane_hooks")

# What the address of a Unix socket holds, on Linux, without the zero at its end.
_LONGEST_PATH = 107
_SWEEP = 60.0
_PHASE_NAMES = {
    number: name.removeprefix("PHASE_").lower() for name, number in vars(wire).items() if name.startswith("PHASE_")
}


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit code."""
    given = options.parse(arguments)
    with _StdoutHeldBack() as stdout:
        logging.basicConfig(stream=sys.stderr, level=given.log_level, format="%(levelname)s %(name)s: %(message)s")
        compat.install()
        loaded = loading.load(options.references(given))
        compat.settle()
        service = None
        if not loaded.mistakes:
            try:
                service = Service(loaded, given.hook_module or "no hook module")
            except TypeError as error:
                loaded.mistakes.append(f"{loading.HOOKS.name}: {error}")
        _tell("warning: ", loaded.warnings)
        _tell("", loaded.mistakes)
        if service is None:
            return 2
        if given.check:
            return 0
        try:
            asyncio.run(_serve(service, given, stdout))
        except _CannotListen as error:
            _tell("", [str(error)])
            return 2
    return 0


def _tell(prefix: str, lines: list[str]) -> None:
    for line in lines:
        print(prefix + line, file=sys.stderr, flush=True)


class _CannotListen(Exception):
    """The socket cannot be made."""


class _StdoutHeldBack:
    """Sends what modules print while they are loaded to stderr, so that the first line on stdout is ours."""

    def __enter__(self) -> _StdoutHeldBack:
        sys.stdout.flush()
        self._stdout = os.dup(1)
        os.dup2(2, 1)
        return self

    def release(self, first_line: str) -> None:
        """Writes the first line; from here on, stdout is stdout."""
        sys.stdout.flush()
        os.dup2(self._stdout, 1)
        with contextlib.suppress(AttributeError):
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        print(first_line, flush=True)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.close(self._stdout)


async def _serve(service: Service, given: argparse.Namespace, stdout: _StdoutHeldBack) -> None:
    loop = asyncio.get_running_loop()
    end = ending.Ending(loop)
    end.on_signals()
    if not given.detached:
        end.on_end_of_input()
    ending.Watch(loop).start()

    listener = server.make(service)
    path = _listen(listener, given.socket)
    await listener.start()
    sweep = asyncio.create_task(_sweep(service))
    stdout.release(_ready(service))
    await end.asked()
    sweep.cancel()
    await listener.stop(ending.GRACE)
    with contextlib.suppress(OSError):
        os.unlink(path)


def _ready(service: Service) -> str:
    ready: dict[str, Any] = {
        "ready": True,
        "instance": service.instance,
        "phases": [_PHASE_NAMES[number] for number in service.phases],
        "token_provider": service.provides_tokens,
    }
    return json.dumps(ready)


def _listen(listener: Any, socket: str) -> str:
    path = os.path.abspath(socket)
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise _CannotListen(f"--socket: `{path}` is longer than {_LONGEST_PATH} bytes")
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
        else:
            raise _CannotListen(f"--socket: `{path}` exists and is no socket")
    except FileNotFoundError:
        pass
    # Whoever may connect may ask for tokens.
    mask = os.umask(0o177)
    try:
        listener.add_insecure_port(f"unix:{path}")
    except RuntimeError as error:
        raise _CannotListen(f"--socket: cannot listen at `{path}`") from error
    finally:
        os.umask(mask)
    return path


async def _sweep(service: Service) -> None:
    while True:
        await asyncio.sleep(_SWEEP)
        service.calls.drop_silent()
