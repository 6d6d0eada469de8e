"""The command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from . import __version__
from .loading import AUTHORIZER, HOOKS, TOKEN_PROVIDER, Reference


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    found = argparse.ArgumentParser(
        prog="python -m toolplane_hooks",
        description="Loads hook modules and serves them to a Toolplane node over a Unix socket.",
    )
    found.add_argument("--version", action="version", version=__version__)
    found.add_argument("--socket", metavar="PATH", help="where to listen; required without --check")
    found.add_argument("--check", action="store_true", help="load everything, say what is wrong, and end")
    found.add_argument("--hook-module", metavar="MODULE:FACTORY", default="", help="returns a list of hooks")
    found.add_argument("--allowed-prefixes", metavar="A,B", default="", help="where hooks may be imported from")
    found.add_argument("--authorizer", metavar="MODULE:CALLABLE", default="", help="says who may run code")
    found.add_argument("--authorizer-prefixes", metavar="A,B", default="", help="where it may be imported from")
    found.add_argument(
        "--token-provider", metavar="MODULE:FACTORY", default="", help="returns a function that returns a token"
    )
    found.add_argument("--token-provider-prefixes", metavar="A,B", default="", help="where it may be imported from")
    found.add_argument("--detached", action="store_true", help="go on when standard input ends")
    found.add_argument(
        "--log-level",
        default="INFO",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="of log lines on stderr",
    )
    return found


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; ends the process with 2 where it makes no sense."""
    found = parser()
    options = found.parse_args(arguments)
    if not options.check and not options.socket:
        found.error("--socket is required")
    return options


def references(options: argparse.Namespace) -> list[Reference]:
    """The code that is to be loaded."""
    return [
        Reference(HOOKS, options.hook_module, options.allowed_prefixes),
        Reference(AUTHORIZER, options.authorizer, options.authorizer_prefixes),
        Reference(TOKEN_PROVIDER, options.token_provider, options.token_provider_prefixes),
    ]
