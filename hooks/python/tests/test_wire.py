"""The messages are those of the repository's protos."""

from __future__ import annotations

import ast

import pytest

from support import HERE, SRC
from toolplane_hooks import wire

LOCK = HERE.parents[2] / "proto" / "wire.lock"


@pytest.mark.skipif(not LOCK.exists(), reason="the repository's protos are not here")
def test_excerpt_is_what_the_repository_has() -> None:
    ours = (SRC / "toolplane_hooks" / "wire.lock").read_text().splitlines()
    theirs = [line for line in LOCK.read_text().splitlines() if line.startswith(wire.PACKAGE + ".")]
    assert ours == theirs


def test_stub_names_every_field() -> None:
    tree = ast.parse((SRC / "toolplane_hooks" / "wire.pyi").read_text())
    declared = {
        node.name: {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}  # type: ignore[union-attr]
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    built = {
        name: {field.name for field in value.DESCRIPTOR.fields}
        for name, value in vars(wire).items()
        if getattr(getattr(value, "DESCRIPTOR", None), "full_name", "").startswith(wire.PACKAGE)
    }
    assert declared == built


def test_presence_maps_and_choices_work() -> None:
    assert wire.FilterToolsRequest(domain="").HasField("domain")
    assert not wire.FilterToolsRequest().HasField("domain")
    request = wire.BeforeExecuteRequest(metadata={"k": "1"}, extra_headers=[wire.Header(name="a", value="b")])
    assert wire.BeforeExecuteRequest.FromString(request.SerializeToString()) == request
    answer = wire.AuthenticateResponse(identity=wire.Identity(handle="h"))
    answer.denial.message = "no"
    assert answer.WhichOneof("outcome") == "denial"
    assert wire.DescribeResponse(phases=[99]).phases == [99]
