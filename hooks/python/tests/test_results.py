"""Results come back as the upstream wrote them, but for what hooks changed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from toolplane_hooks.json_text import Invalid
from toolplane_hooks.results import CallToolResult, ContentBlock, ResultText

TEXT = (
    '{ "resultType":"complete", "content" : [ {"type":"text","text":"caf\\u00e9", "x-own": 1e400},'
    ' {"type":"image", "data":"AA==","mimeType":"image/png","_meta":{"k":1.10}} ],'
    '"structuredContent":{"n": 1e400, "big":123456789012345678901234567890}, "_meta": {"a" : 1} }'
)


def test_untouched_result_is_no_change() -> None:
    text = ResultText(TEXT)
    result = text.result
    assert [block.type for block in result.content] == ["text", "image"]
    assert result.content[0].text == "café"
    assert not hasattr(result.content[1], "text")
    assert result.content[1].meta == {"k": 1.1}
    assert result.content[0].meta is None
    assert result.is_error is False
    assert result.structured_content is not None
    assert text.changed(result) is None


def test_changed_block_leaves_the_others_as_they_were() -> None:
    text = ResultText(TEXT)
    text.result.content[0].text = "tea"
    changed = text.changed(text.result)
    assert changed is not None
    assert '{"type":"text","text":"tea","x-own":1e400}' in changed
    assert '{"type":"image", "data":"AA==","mimeType":"image/png","_meta":{"k":1.10}}' in changed
    assert '"structuredContent":{"n": 1e400, "big":123456789012345678901234567890}' in changed
    assert '"resultType":"complete"' in changed


def test_change_deep_inside_keeps_the_numbers_beside_it() -> None:
    text = ResultText(TEXT)
    assert text.result.structured_content is not None
    text.result.structured_content["added"] = True
    changed = text.changed(text.result)
    assert changed is not None
    assert '"structuredContent":{"n":1e400,"big":123456789012345678901234567890,"added":true}' in changed
    assert '"content":[ {"type"' in changed


def test_parts_can_be_removed_and_reordered() -> None:
    text = ResultText(TEXT)
    text.result.structured_content = None
    text.result.meta = None
    text.result.content.reverse()
    text.result.is_error = True
    members = json.loads(text.changed(text.result) or "")
    assert "structuredContent" not in members and "_meta" not in members
    assert [block["type"] for block in members["content"]] == ["image", "text"]
    assert members["isError"] is True


class Model:
    """As of pydantic."""

    text = "model"

    def model_dump(self, *, mode: str, by_alias: bool, exclude_none: bool) -> dict[str, Any]:
        assert mode == "json" and by_alias and exclude_none
        return {"type": "text", "text": self.text}


def test_blocks_of_all_kinds_are_taken() -> None:
    text = ResultText('{"content":[]}')
    text.result.content = [
        ContentBlock(type="text", text="a", meta={"b": 1}),
        {"type": "text", "text": "c"},
        Model(),
        SimpleNamespace(text="d"),
        "e",
    ]
    members = json.loads(text.changed(text.result) or "")
    assert members["content"] == [
        {"type": "text", "text": "a", "_meta": {"b": 1}},
        {"type": "text", "text": "c"},
        {"type": "text", "text": "model"},
        {"type": "text", "text": "d"},
        {"type": "text", "text": "e"},
    ]


def test_another_result_can_be_returned() -> None:
    text = ResultText(TEXT)
    other = CallToolResult(content=[{"type": "text", "text": "other"}])
    members = json.loads(text.changed(other) or "")
    assert members == {"resultType": "complete", "content": [{"type": "text", "text": "other"}]}
    wire_names = SimpleNamespace(content=[], structuredContent={"a": 1}, isError=True)
    members = json.loads(ResultText("{}").changed(wire_names) or "")
    assert members == {"structuredContent": {"a": 1}, "isError": True}


def test_odd_results_of_upstreams_pass() -> None:
    for odd in ("{}", '{"content":null}', '{"content":"x","isError":"yes"}', '{"structuredContent":[1]}'):
        text = ResultText(odd)
        assert text.changed(text.result) is None


def test_data_is_for_reading() -> None:
    assert ResultText('{"structuredContent":{"result":[1]}}').result.data == [1]
    assert ResultText('{"structuredContent":{"a":1}}').result.data == {"a": 1}


@pytest.mark.parametrize("result", [None, 7, SimpleNamespace(content="x"), SimpleNamespace(content=[7])])
def test_what_is_no_result_is_refused(result: Any) -> None:
    with pytest.raises(Invalid):
        ResultText(TEXT).changed(result)
