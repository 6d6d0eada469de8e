"""A tool as hooks see it."""

from __future__ import annotations

from typing import Any

from . import json_text, wire


class ToolEntry:
    """A tool that the caller is about to use, or may know of. Read-only.

    Schemas and annotations are left out where tools are listed; a hook that looks finds empty ones.
    """

    # Listing makes thousands of these, so fields are read from the message when they are asked for.
    __slots__ = ("_extra", "_message")

    def __init__(
        self,
        name: str,
        domain: str,
        group: str = "general",
        description: str = "",
        input_schema: dict[str, Any] | None = None,
        upstream_url: str = "",
        original_name: str | None = None,
        raw_output_trusted: bool = False,
        required_scope: str | None = None,
        annotations: dict[str, Any] | None = None,
    ) -> None:
        self._message = wire.Tool(
            name=name,
            domain=domain,
            group=group,
            description=description,
            original_name=original_name or name,
            input_schema=json_text.encode(input_schema or {}),
            annotations=json_text.encode(annotations or {}),
        )
        self._extra: dict[str, Any] | None = {
            "upstream_url": upstream_url,
            "raw_output_trusted": raw_output_trusted,
            "required_scope": required_scope,
        }

    @classmethod
    def from_wire(cls, message: wire.Tool) -> ToolEntry:
        """The tool that a message describes."""
        self = cls.__new__(cls)
        self._message = message
        self._extra = None
        return self

    @property
    def name(self) -> str:
        """As it is published to the caller."""
        return self._message.name

    @property
    def domain(self) -> str:
        """Where it comes from."""
        return self._message.domain

    @property
    def group(self) -> str:
        """Which tools of its domain it belongs with."""
        return self._message.group

    @property
    def description(self) -> str:
        """What it does."""
        return self._message.description

    @property
    def original_name(self) -> str | None:
        """What the upstream calls it, where it is published under another name."""
        original_name = self._message.original_name
        return original_name if original_name and original_name != self._message.name else None

    @property
    def input_schema(self) -> dict[str, Any]:
        """The schema of its arguments."""
        return self._read("input_schema", self._message.input_schema)

    @property
    def annotations(self) -> dict[str, Any]:
        """What the upstream says of its effects."""
        return self._read("annotations", self._message.annotations)

    @property
    def upstream_url(self) -> str:
        """Empty: hooks need not know where a tool runs."""
        return str(self._other("upstream_url", ""))

    @property
    def raw_output_trusted(self) -> bool:
        """False: the output guard is the node's."""
        return bool(self._other("raw_output_trusted", False))

    @property
    def required_scope(self) -> str | None:
        """None: scopes are a matter of hooks here."""
        found = self._other("required_scope", None)
        return None if found is None else str(found)

    def _other(self, key: str, default: Any) -> Any:
        return (self._extra or {}).get(key, default)

    def _read(self, key: str, text: str) -> dict[str, Any]:
        if self._extra is None:
            self._extra = {}
        # Read once, so that a hook can compare objects.
        if key not in self._extra:
            self._extra[key] = json_text.decode_object(text)
        found: dict[str, Any] = self._extra[key]
        return found

    def model_dump(self) -> dict[str, Any]:
        """All fields in a dictionary of their own."""
        return {
            "name": self.name,
            "domain": self.domain,
            "group": self.group,
            "description": self.description,
            "input_schema": json_text.decode_object(self._message.input_schema),
            "upstream_url": self.upstream_url,
            "original_name": self.original_name,
            "raw_output_trusted": self.raw_output_trusted,
            "required_scope": self.required_scope,
        }

    def model_copy(self, *, update: dict[str, Any] | None = None) -> ToolEntry:
        """A copy in which some fields are different."""
        annotations = json_text.decode_object(self._message.annotations)
        return ToolEntry(**{**self.model_dump(), "annotations": annotations, **(update or {})})

    def __repr__(self) -> str:
        return f"ToolEntry(name={self.name!r}, domain={self.domain!r}, group={self.group!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ToolEntry):
            return NotImplemented
        return self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash((self.name, self.domain))
