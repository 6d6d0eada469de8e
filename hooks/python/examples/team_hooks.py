"""A hook module: who is calling, what they see, what they may do, and what they get.

    GATEWAY_HOOK_MODULE=team_hooks:create_hooks
    GATEWAY_ALLOWED_HOOK_PREFIXES=team_hooks

It would run in the reference gateway just the same, with `from fastmcp_gateway import …`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from toolplane_hooks import CallToolResult, ExecutionContext, ExecutionDenied, ListToolsContext, ToolEntry

logger = logging.getLogger("team_hooks")


@dataclass(frozen=True)
class Member:
    """Who is calling. `subject` is what logs and audit records show."""

    subject: str
    team: str


TOKENS = {"token-of-alice": Member("alice", "sales"), "token-of-bob": Member("bob", "support")}


class Authentication:
    """Knows callers by their token. A real one would ask an identity provider, asynchronously."""

    async def on_authenticate(self, headers: dict[str, str]) -> Member | None:
        return TOKENS.get(headers.get("authorization", "").removeprefix("Bearer "))


class TeamAccess:
    """Deletions are for sales, and nobody else knows that they exist."""

    def _is_allowed(self, tool: ToolEntry, member: Member | None) -> bool:
        return "delete" not in tool.name or (member is not None and member.team == "sales")

    async def after_list_tools(self, tools: list[ToolEntry], context: ListToolsContext) -> list[ToolEntry]:
        return [tool for tool in tools if self._is_allowed(tool, context.user)]

    async def before_execute(self, context: ExecutionContext) -> None:
        if context.user is None:
            raise ExecutionDenied("Please sign in", code="sign_in_required")
        if not self._is_allowed(context.tool, context.user):
            raise ExecutionDenied(f"{context.tool.name} is for sales")
        context.extra_headers["X-On-Behalf-Of"] = context.user.subject


class Redaction:
    """Takes card numbers out of structured results."""

    async def transform_result(self, context: ExecutionContext, result: CallToolResult) -> CallToolResult:
        if result.structured_content and "card_number" in result.structured_content:
            result.structured_content["card_number"] = "…"
        return result


class Failures:
    """Tells the log which upstreams fail for whom."""

    async def on_error(self, context: ExecutionContext, error: Exception) -> None:
        logger.warning("%s failed for %r: %s", context.tool.name, context.user, error)


def create_hooks() -> list[object]:
    """What `GATEWAY_HOOK_MODULE` names."""
    return [Authentication(), TeamAccess(), Redaction(), Failures()]
