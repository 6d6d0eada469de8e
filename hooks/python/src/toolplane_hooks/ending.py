"""The end of the process: asked for by a signal or by the end of standard input, and certain to come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from types import FrameType

logger = logging.getLogger("toolplane_hooks")

GRACE = 2.0
"""For how long calls may finish, in seconds."""
_LAST_RESORT = 2 * GRACE


class Ending:
    """Set once, from whichever thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked = asyncio.Event()
        self._has_begun = threading.Event()

    async def asked(self) -> None:
        """Waits until the end was asked for."""
        await self._asked.wait()

    def begin(self) -> None:
        """Asks for the end; does nothing the second time."""
        if self._has_begun.is_set():
            return
        self._has_begun.set()
        # A hook that blocks the event loop or a thread must not keep the process alive.
        threading.Thread(target=_end_late, daemon=True, name="last-resort").start()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._asked.set)

    def on_signals(self) -> None:
        """Follows SIGTERM and SIGINT, also while the event loop is blocked."""

        def follow(number: int, frame: FrameType | None) -> None:
            self.begin()

        signal.signal(signal.SIGTERM, follow)
        signal.signal(signal.SIGINT, follow)

    def on_end_of_input(self) -> None:
        """Follows the parent, whose death closes standard input."""

        def read() -> None:
            with contextlib.suppress(OSError):
                while os.read(0, 4096):
                    pass
            self.begin()

        threading.Thread(target=read, daemon=True, name="standard-input").start()


def _end_late() -> None:
    time.sleep(_LAST_RESORT)
    sys.stderr.flush()
    os._exit(0)


class Watch:
    """Says in the log when a hook blocks the event loop, and where it is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, patience: float = 5.0) -> None:
        self._loop = loop
        self._patience = patience
        self._main = threading.get_ident()

    def start(self) -> threading.Thread:
        """Begins to watch the thread that this object was made in. The thread that watches ends with the loop."""
        watching = threading.Thread(target=self._run, daemon=True, name="watch")
        watching.start()
        return watching

    def _run(self) -> None:
        with contextlib.suppress(RuntimeError):
            while True:
                answered = threading.Event()
                self._loop.call_soon_threadsafe(answered.set)
                if not answered.wait(self._patience):
                    # Whatever was to run when a loop is closed never runs.
                    if self._loop.is_closed():
                        return
                    self._tell()
                    while not answered.wait(self._patience):
                        if self._loop.is_closed():
                            return
                    logger.warning("the event loop is free again")
                time.sleep(self._patience / 5)

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._main)
        where = "".join(traceback.format_stack(frame)[-3:]) if frame else ""
        logger.warning("a hook has blocked all others for %.1f s; it is at\n%s", self._patience, where.rstrip())
