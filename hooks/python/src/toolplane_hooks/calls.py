"""What is kept of calls between their phases, and the handles that stand for identities outside of this process.

Users and notes are live objects: they may hold locks, connections or tokens, and they stay here. A node knows them by a
handle that is good for as long as the call that it came from, and for the calls that this one makes in code mode.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from . import json_text

MOST_CALLS = 65_536
LONGEST_SILENCE = 15 * 60.0
_LONGEST_SUBJECT = 256
_SUBJECTS = ("subject", "sub", "email", "id", "user_id", "username", "preferred_username", "name")


class Stale(Exception):
    """The request is about something that is not here, or not anymore."""


class ForeignIdentity:
    """An identity that another hook service found: what is known of it here is its subject."""

    __slots__ = ("subject",)

    def __init__(self, subject: str) -> None:
        self.subject = subject

    def __repr__(self) -> str:
        return f"ForeignIdentity({self.subject!r})"


class Call:
    """One call between its phases."""

    __slots__ = (
        "arguments_text",
        "context",
        "found",
        "handle",
        "headers",
        "id",
        "session",
        "stranger",
        "touched",
        "user",
    )

    def __init__(self, message: Any, now: float) -> None:
        self.id: str = message.id
        self.session: str = message.session
        # Of several values of a header the last one counts, as in the reference.
        self.headers: dict[str, str] = {header.name: header.value for header in message.headers}
        # Who is calling by the last request.
        self.user: Any = None
        self.handle = ""
        # The subject of an identity that another hook service found.
        self.stranger: str | None = None
        # Whom our hooks found, by handle; these are not always the same.
        self.found: tuple[str, Any] | None = None
        self.context: Any = None
        self.arguments_text: str | None = None
        self.touched = now


class Calls:
    """The calls that run now, the one that was silent for longest first.

    Bounded in number and in time without a sign of life, for calls whose end nobody tells.
    """

    def __init__(
        self,
        instance: str,
        *,
        most: int = MOST_CALLS,
        longest_silence: float = LONGEST_SILENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instance = instance
        self._most = most
        self._longest_silence = longest_silence
        self._clock = clock
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._by_handle: dict[str, Call] = {}
        self._next_handle = 0

    def __len__(self) -> int:
        return len(self._calls)

    def open(self, message: Any, *, keep: bool = True) -> Call:
        """The call that a request belongs to. Begins to keep it at its first request, unless told not to."""
        if message.instance != self._instance:
            raise Stale("the call began with another start of this hook process")
        if not message.id:
            # Calls without ids would be one call, and their callers one caller.
            raise Stale("the request names no call")
        call = self._calls.get(message.id)
        if call is None:
            call = Call(message, self._clock())
            self._resolve(call, message)
            if keep:
                self.drop_silent()
                self._calls[call.id] = call
        else:
            self._touch(call)
            self._resolve(call, message)
        return call

    def _touch(self, call: Call) -> None:
        call.touched = self._clock()
        self._calls.move_to_end(call.id)

    def _resolve(self, call: Call, message: Any) -> None:
        """Follows the identity of the request: a node sends our own handle, if we gave one."""
        handle = message.identity.handle
        stranger = message.identity.subject if not handle and message.HasField("identity") else None
        if handle == call.handle and stranger == call.stranger:
            return
        user: Any = None
        if handle:
            owner = self._by_handle.get(handle)
            if owner is None or owner.found is None:
                raise Stale("the identity is not known here anymore")
            self._touch(owner)
            user = owner.found[1]
        elif stranger is not None:
            user = ForeignIdentity(stranger)
        call.handle, call.stranger, call.user = handle, stranger, user
        if call.context is not None:
            call.context.user = user

    def identify(self, call: Call, user: Any) -> str:
        """Keeps who is calling until the end of the call, and returns the handle."""
        self._forget(call)
        self._next_handle += 1
        call.handle = f"{self._instance}:{self._next_handle}"
        call.stranger = None
        call.user = user
        call.found = (call.handle, user)
        if self._calls.get(call.id) is call:
            self._by_handle[call.handle] = call
        return call.handle

    def end(self, call_id: str) -> None:
        """Lets everything go that was kept for a call."""
        call = self._calls.pop(call_id, None)
        if call is not None:
            self._forget(call)

    def _forget(self, call: Call) -> None:
        if call.found is not None:
            self._by_handle.pop(call.found[0], None)
            call.found = None

    def drop_silent(self) -> None:
        """Makes room for one more call, and lets go what was not heard of for too long."""
        limit = self._clock() - self._longest_silence
        while self._calls:
            oldest = next(iter(self._calls.values()))
            if len(self._calls) < self._most and oldest.touched > limit:
                return
            self.end(oldest.id)


def request_meta(message: Any) -> MappingProxyType[str, Any] | None:
    """`_meta` of the caller's request, which hooks can read only."""
    text = message.request_meta
    return MappingProxyType(json_text.decode_object(text)) if text else None


def subject(user: Any) -> str:
    """Who this is, for logs, other services and the binding of states: the first of the usual attributes or keys.

    Empty where there is none. Nothing else of a user leaves the process: what `str` or `repr` say of an object may hold
    secrets, and often an address in memory, which would make the same caller another one in the next request.
    """
    found = next((text for name in _SUBJECTS if (text := _scalar(user, name))), "")
    return found[:_LONGEST_SUBJECT].encode("utf-8", "replace").decode("utf-8")


def _scalar(user: Any, name: str) -> str:
    """A text or a whole number; empty for everything else, methods and failing properties included."""
    try:
        value = user.get(name) if isinstance(user, Mapping) else getattr(user, name, None)
    except Exception:
        return ""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__repr__(value)
    return ""
