"""A tool as hooks see it."""

from __future__ import annotations

import copy
from typing import Any

from . import json_text


class ToolEntry:
    """A tool that the caller is about to use, or may know of.

    `original_name` is what the upstream calls the tool where it is published under another name, else none. Schemas and
    annotations are left out where tools are listed; a hook that looks finds empty ones. Objects are made for one call
    and shared with nobody.
    """

    __slots__ = (
        "_annotations_text",
        "_parsed",
        "_schema_text",
        "description",
        "domain",
        "group",
        "name",
        "original_name",
        "raw_output_trusted",
        "required_scope",
        "upstream_url",
    )

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
        self.name = name
        self.domain = domain
        self.group = group
        self.description = description
        self.upstream_url = upstream_url
        self.original_name = original_name
        self.raw_output_trusted = raw_output_trusted
        self.required_scope = required_scope
        self._schema_text = self._annotations_text = ""
        self._parsed: dict[str, dict[str, Any]] = {"input_schema": input_schema or {}, "annotations": annotations or {}}

    @classmethod
    def from_wire(cls, tool: Any) -> ToolEntry:
        """Takes a `Tool` message."""
        # Listing makes thousands of these, so it goes past the constructor.
        self = cls.__new__(cls)
        self.name = name = tool.name
        self.domain = tool.domain
        self.group = tool.group
        self.description = tool.description
        original_name = tool.original_name
        self.original_name = original_name if original_name != name and original_name else None
        self.upstream_url = ""
        self.raw_output_trusted = False
        self.required_scope = None
        self._schema_text = tool.input_schema
        self._annotations_text = tool.annotations
        self._parsed = {}
        return self

    @property
    def input_schema(self) -> dict[str, Any]:
        """The schema of the tool's arguments."""
        return self._read("input_schema", self._schema_text)

    @property
    def annotations(self) -> dict[str, Any]:
        """What the upstream says of the tool's effects."""
        return self._read("annotations", self._annotations_text)

    def _read(self, key: str, text: str) -> dict[str, Any]:
        if key not in self._parsed:
            self._parsed[key] = json_text.decode_object(text)
        return self._parsed[key]

    def model_dump(self) -> dict[str, Any]:
        """All fields in a dictionary."""
        return {
            "name": self.name,
            "domain": self.domain,
            "group": self.group,
            "description": self.description,
            "input_schema": copy.deepcopy(self.input_schema),
            "upstream_url": self.upstream_url,
            "original_name": self.original_name,
            "raw_output_trusted": self.raw_output_trusted,
            "required_scope": self.required_scope,
        }

    def model_copy(self, *, update: dict[str, Any] | None = None) -> ToolEntry:
        """A copy in which some fields are different."""
        return ToolEntry(**{**self.model_dump(), **(update or {})})

    def __repr__(self) -> str:
        return f"ToolEntry(name={self.name!r}, domain={self.domain!r}, group={self.group!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ToolEntry):
            return NotImplemented
        return self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash((self.name, self.domain))
