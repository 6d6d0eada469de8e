"""The result of an upstream as `transform_result` sees it, and its way back to JSON.

What a hook leaves alone keeps the text that the upstream wrote: the whole result, each of its members, each block of
its content. Members that are not known here are kept as well.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from . import json_text

_BLOCKS_OF_MCP = {
    "text": "TextContent",
    "image": "ImageContent",
    "audio": "AudioContent",
    "resource": "EmbeddedResource",
    "resource_link": "ResourceLink",
}


class ContentBlock:
    """One block of content: its JSON members as attributes, `_meta` as `meta`."""

    annotations: Any = None
    meta: Any = None

    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)

    @classmethod
    def from_json(cls, members: dict[str, Any]) -> ContentBlock:
        """Takes a block as it is on the wire."""
        return cls(**{"meta" if key == "_meta" else key: value for key, value in members.items()})

    def to_json(self) -> dict[str, Any]:
        """The block as it is on the wire."""
        return {"_meta" if key == "meta" else key: value for key, value in self.__dict__.items()}

    def __repr__(self) -> str:
        return f"ContentBlock({', '.join(f'{key}={value!r}' for key, value in self.__dict__.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContentBlock) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


@dataclass
class CallToolResult:
    """What an upstream answered. All of it may be changed in place, or another one returned."""

    content: list[Any]
    structured_content: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    data: Any = None
    """For hooks that read it: the structured content, or what is in it under `result` alone."""
    is_error: bool = False


@dataclass
class _Known:
    """A part of the result as it came."""

    text: str
    fingerprint: str | None


@dataclass
class ResultText:
    """Reads a result and tells, when hooks are done, what became of it."""

    text: str
    result: CallToolResult = field(init=False)

    def __post_init__(self) -> None:
        self._members = json_text.members(self.text)
        self._values = {
            key: json_text.decode(self._members[key])
            for key in ("structuredContent", "_meta", "isError")
            if key in self._members
        }
        self._known: dict[str, _Known] = {
            key: _Known(self._members[key], json_text.fingerprint(value)) for key, value in self._values.items()
        }
        self._blocks: dict[int, tuple[Any, _Known]] = {}
        structured = self._values.get("structuredContent")
        self.result = CallToolResult(
            content=self._read_content(),
            structured_content=structured,
            meta=self._values.get("_meta"),
            data=structured["result"]
            if isinstance(structured, dict) and structured.keys() == {"result"}
            else structured,
            is_error=self._values.get("isError") is True,
        )
        self._order = [id(block) for block in self.result.content]

    def _read_content(self) -> list[Any]:
        text = self._members.get("content", "")
        if not text.startswith("["):
            return []
        content = []
        for value, block_text in json_text.elements(text):
            block = _read_block(value)
            content.append(block)
            # Held by this table too, so that no other object gets the same id.
            self._blocks[id(block)] = (block, _Known(block_text, json_text.fingerprint(_plain(block))))
        return content

    def changed(self, result: Any) -> str | None:
        """The text of a result that a hook returned; none where it is what the upstream sent."""
        if result is None or not hasattr(result, "content"):
            raise json_text.Invalid(f"{type(result).__name__} is no result")
        members = dict(self._members)
        self._put_content(members, result.content)
        structured = _either(result, "structured_content", "structuredContent")
        if (
            structured is not None
            and not isinstance(structured, dict)
            and structured is not self._values.get("structuredContent")
        ):
            raise json_text.Invalid("structured_content is no object")
        self._put(members, "structuredContent", structured)
        if hasattr(result, "meta"):
            self._put(members, "_meta", result.meta)
        is_error = bool(_either(result, "is_error", "isError"))
        if is_error != (self._values.get("isError") is True):
            members["isError"] = "true" if is_error else "false"
        return None if members == self._members else json_text.join_members(members)

    def _put(self, members: dict[str, str], key: str, value: Any) -> None:
        known = self._known.get(key)
        if value is None:
            if known is not None and known.text != "null":
                del members[key]
        elif known is None or known.fingerprint is None or json_text.fingerprint(value) != known.fingerprint:
            members[key] = json_text.encode(_plain(value))

    def _put_content(self, members: dict[str, str], content: Any) -> None:
        if not isinstance(content, (list, tuple)):
            raise json_text.Invalid(f"content is {type(content).__name__}, no list of blocks")
        texts = [self._block_text(block) for block in content]
        if all(is_known for is_known, _ in texts) and [id(block) for block in content] == self._order:
            return
        members["content"] = "[" + ",".join(text for _, text in texts) + "]"

    def _block_text(self, block: Any) -> tuple[bool, str]:
        plain = _plain(block)
        _, known = self._blocks.get(id(block), (None, None))
        if known is not None and known.fingerprint is not None and json_text.fingerprint(plain) == known.fingerprint:
            return True, known.text
        if isinstance(plain, str):
            plain = {"type": "text", "text": plain}
        elif not isinstance(plain, dict):
            text = getattr(block, "text", None)
            if not isinstance(text, str):
                raise json_text.Invalid(f"{type(block).__name__} is no block of content")
            plain = {"type": "text", "text": text}
        return False, json_text.encode(plain)


def _either(result: Any, name: str, wire_name: str) -> Any:
    return getattr(result, name) if hasattr(result, name) else getattr(result, wire_name, None)


def _plain(value: Any) -> Any:
    """What JSON is written from: models of the package `mcp` and our blocks become dictionaries."""
    if isinstance(value, ContentBlock):
        return value.to_json()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value


def _read_block(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    # Where a hook module has imported the package `mcp`, it may ask whether a block is a `TextContent`.
    if (types := sys.modules.get("mcp.types")) is not None:
        model = getattr(types, _BLOCKS_OF_MCP.get(str(value.get("type")), ""), None)
        if model is not None:
            try:
                return model.model_validate(value)
            except ValueError:
                pass
    return ContentBlock.from_json(value)
