"""The line that sums the run up, in the form that the repository's scripts read."""

from __future__ import annotations

import pytest


def pytest_unconfigure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        count = {kind: len(reporter.stats.get(kind, [])) for kind in ("passed", "failed", "error")}
        print(f"{count['passed']} passed, {count['failed'] + count['error']} failed")
