"""Runs Python hook modules for a Toolplane gateway.

Responsibilities: the names that hook modules are written with (this module), and a process that loads such modules and
serves them over gRPC (`python -m toolplane_hooks`).

Not here: what a denial looks like to a caller, deadlines, and what happens when a hook fails. The node decides these.

Layout: `loading` imports what settings name, `binding` finds the methods of hooks, `service` answers requests with
them, `calls` keeps what belongs to a call, `server` and `runner` are the process around it. `compat` offers the same
names as `fastmcp_gateway`.
"""

__version__ = "0.1.0"

from .contexts import (
    ExecutionContext,
    ExecutionDenied,
    Hook,
    HookRunner,
    ListToolsContext,
    McpError,
    get_user_headers,
)
from .results import CallToolResult, ContentBlock
from .tools import ToolEntry

__all__ = [
    "CallToolResult",
    "ContentBlock",
    "ExecutionContext",
    "ExecutionDenied",
    "Hook",
    "HookRunner",
    "ListToolsContext",
    "McpError",
    "ToolEntry",
    "get_user_headers",
]
