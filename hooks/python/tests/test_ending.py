"""A blocked event loop is told of."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from toolplane_hooks.ending import Watch


def test_watch_says_where_the_loop_is_blocked(caplog: pytest.LogCaptureFixture) -> None:
    told = threading.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    def block_until_told() -> None:
        assert told.wait(30)

    async def main() -> None:
        Watch(asyncio.get_running_loop(), patience=0.05).start()
        block_until_told()
        while "the event loop is free again" not in caplog.messages:
            await asyncio.sleep(0.01)

    logger = logging.getLogger("toolplane_hooks")
    handler = Told()
    logger.addHandler(handler)
    try:
        asyncio.run(asyncio.wait_for(main(), 30))
    finally:
        logger.removeHandler(handler)
    assert "a hook has blocked all others for 0.1 s" in caplog.messages[0]
    assert "block_until_told" in caplog.messages[0]
    # The loop is closed: the thread that watched it ends by itself.
    deadline = time.monotonic() + 30
    while any(thread.name == "watch" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
