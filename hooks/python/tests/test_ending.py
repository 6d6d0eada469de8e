"""A blocked event loop is told of."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from toolplane_hooks.ending import Watch

PATIENCE = 30
FREE = "the event loop is free again"


class Heard(logging.Handler):
    """Keeps what is logged, and says when something was and when the loop is said to be free."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.something = threading.Event()
        self.is_free: asyncio.Future[None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        self.messages.append(message)
        self.something.set()
        if message == FREE and self.is_free is not None:
            self.is_free.get_loop().call_soon_threadsafe(self.is_free.set_result, None)


def test_watch_says_where_the_loop_is_blocked_and_ends_with_it() -> None:
    heard = Heard()

    def block_until_told() -> None:
        assert heard.something.wait(PATIENCE)

    async def main() -> threading.Thread:
        loop = asyncio.get_running_loop()
        heard.is_free = loop.create_future()
        watching = Watch(loop, patience=0.05).start()
        block_until_told()
        await asyncio.wait_for(heard.is_free, PATIENCE)
        return watching

    logger = logging.getLogger("toolplane_hooks")
    logger.addHandler(heard)
    try:
        watching = asyncio.run(main())
    finally:
        logger.removeHandler(heard)
    assert "a hook has blocked all others for 0.1 s" in heard.messages[0]
    assert "block_until_told" in heard.messages[0]
    watching.join(PATIENCE)
    assert not watching.is_alive()


class Asked(asyncio.SelectorEventLoop):
    """A loop that never runs, and says when it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = threading.Event()

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:  # type: ignore[override]
        handle = super().call_soon_threadsafe(*args, **kwargs)
        self.was_asked.set()
        return handle


def test_watch_ends_with_a_loop_that_is_closed_before_it_answers() -> None:
    loop = Asked()
    watching = Watch(loop, patience=0.05).start()
    assert loop.was_asked.wait(PATIENCE)
    loop.close()
    watching.join(PATIENCE)
    assert not watching.is_alive()
