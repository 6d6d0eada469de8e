"""What settings may name, and how their mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import check

HOOKS = "GATEWAY_HOOK_MODULE: "
TOKENS = "GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE: "


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ("sample_hooks", "`sample_hooks` must have the form `module.path:name`"),
        (":live", "`:live` must have the form `module.path:name`"),
        ("sample_hooks:", "`sample_hooks:` must have the form `module.path:name`"),
        ("sample_hooks:nothing", "module `sample_hooks` has no `nothing`"),
        ("sample_hooks.none:x", "there is no module `sample_hooks.none` on the Python path"),
        ("broken.none:x", "there is no module `broken.none` on the Python path"),
        ("probe_hooks:not_callable", "`probe_hooks:not_callable` is int, which cannot be called"),
        ("probe_hooks:not_a_list", "`probe_hooks:not_a_list` must return a list of hooks, it returned tuple"),
        (
            "sample_hooks:async_factory",
            "`sample_hooks:async_factory` must return a list of hooks, "
            "it returned a coroutine: the factory must not be async",
        ),
        ("sample_hooks:half_a_hook", "before_execute of Half is str, no method"),
    ],
)
def test_mistake_is_one_line(value: str, mistake: str) -> None:
    assert check("--hook-module", value, "--allowed-prefixes", "sample_hooks,broken,probe_hooks") == (
        2,
        [HOOKS + mistake],
    )


@pytest.mark.parametrize(
    ("value", "beginning", "place"),
    [
        (
            "sample_hooks:fails",
            "`sample_hooks:fails` failed: RuntimeError: no database at all (",
            "sample_hooks.py, line ",
        ),
        ("sample_hooks:leaves", "`sample_hooks:leaves` failed: SystemExit: 1 (", "sample_hooks.py, line "),
        ("sample_hooks:Live.before_execute", "`sample_hooks:Live.before_execute` failed: TypeError: ", "missing"),
        (
            "broken.needs:x",
            "module `broken.needs` cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_package_anywhere' (",
            "needs.py, line 1)",
        ),
        ("broken.syntax:x", "module `broken.syntax` cannot be imported: SyntaxError: ", "syntax.py, line 1"),
    ],
)
def test_failure_tells_its_place(value: str, beginning: str, place: str) -> None:
    code, lines = check("--hook-module", value, "--allowed-prefixes", "sample_hooks,broken")
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith(HOOKS + beginning)
    assert place in lines[0]


@pytest.mark.parametrize("prefixes", ["other", "mark", "marker.inner", "marker_too", "MARKER", "*"])
def test_nothing_outside_of_the_allow_list_is_imported(prefixes: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    code, lines = check("--hook-module", "marker:x", "--allowed-prefixes", prefixes, MARKER=str(marker))
    assert code == 2
    assert lines == [f"{HOOKS}`marker` is not among GATEWAY_ALLOWED_HOOK_PREFIXES ({prefixes}), so it is not imported"]
    assert not marker.exists()


def test_blanks_and_children_are_allowed(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    code, _ = check("--hook-module", " marker:x ", "--allowed-prefixes", " a , marker,,", MARKER=str(marker))
    assert code == 2
    assert marker.exists()
    assert check("--hook-module", "broken.none:x", "--allowed-prefixes", "brok")[1][0].endswith("not imported")
    assert check("--hook-module", "sample_hooks:live", "--allowed-prefixes", "sample_hooks") == (0, [])


def test_prefix_with_a_blank_is_a_mistake() -> None:
    _, lines = check("--hook-module", "sample_hooks:live", "--allowed-prefixes", "sample hooks")
    assert lines == [f"{HOOKS}GATEWAY_ALLOWED_HOOK_PREFIXES has a prefix with a blank in it: `sample hooks`"]


def test_without_prefixes_a_setting_is_ignored() -> None:
    code, lines = check("--hook-module", "sample_hooks:live", "--token-provider", "x:y", "--allowed-prefixes", " , ")
    assert code == 0
    assert lines == [
        "warning: GATEWAY_HOOK_MODULE is ignored, because GATEWAY_ALLOWED_HOOK_PREFIXES is not set",
        "warning: GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE is ignored, because "
        "GATEWAY_ALLOWED_REGISTRY_TOKEN_PROVIDER_PREFIXES is not set",
    ]


def test_all_mistakes_are_told() -> None:
    code, lines = check(
        *("--hook-module", "x:y", "--allowed-prefixes", "a"),
        *("--authorizer", "sample_hooks:none", "--authorizer-prefixes", "sample_hooks"),
        *("--token-provider", "sample_hooks:not_a_provider", "--token-provider-prefixes", "sample_hooks"),
    )
    assert code == 2
    assert lines == [
        f"{HOOKS}`x` is not among GATEWAY_ALLOWED_HOOK_PREFIXES (a), so it is not imported",
        "GATEWAY_CODE_MODE_AUTHORIZER: module `sample_hooks` has no `none`",
        f"{TOKENS}`sample_hooks:not_a_provider` must return a function that returns a token, it returned str",
    ]


def test_nothing_to_load_is_no_mistake() -> None:
    assert check() == (0, [])
    assert check("--hook-module", " ", "--allowed-prefixes", "x") == (0, [])


def test_provider_may_be_none() -> None:
    code, lines = check("--token-provider", "sample_hooks:no_provider", "--token-provider-prefixes", "sample_hooks")
    assert code == 0
    assert lines == [f"warning: {TOKENS}`sample_hooks:no_provider` returned none, so there is no token provider"]
