"""The examples do what they say."""

from __future__ import annotations

import asyncio
import datetime
import sys
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from support import HERE, SRC, hooks
from toolplane_hooks import wire

EXAMPLES = HERE.parent / "examples"


def test_team_hooks(tmp_path: Path) -> None:
    with hooks(tmp_path, "create_hooks", "team_hooks", PYTHONPATH=f"{SRC}:{EXAMPLES}") as runner:
        alice = runner.message("a", headers={"authorization": "Bearer token-of-alice"})
        assert runner.authenticate(alice).identity.subject == "alice"
        assert runner.visible(alice, ["crm_delete", "crm_read"]) == [0, 1]
        assert runner.before(alice).extra_headers[0].value == "alice"
        changed = runner.transform(alice, '{"content":[],"structuredContent":{"card_number":"4111","n":1.10}}')
        assert changed.result == '{"content":[],"structuredContent":{"card_number":"…","n":1.10}}'
        stranger = runner.message("b")
        runner.authenticate(stranger)
        assert runner.visible(stranger, ["crm_delete", "crm_read"]) == [1]
        assert runner.before(stranger).denial.code == "sign_in_required"


@pytest.mark.parametrize(("hour", "is_open"), [(7, False), (8, True), (17, True), (18, False)])
def test_hook_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hour: int, is_open: bool) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    sys.modules.pop("hook_service", None)
    import hook_service  # noqa: PLC0415

    async def main() -> None:
        server = hook_service.make_server(
            hook_service.OpeningHours(lambda: datetime.datetime(2026, 1, 1, hour, tzinfo=datetime.timezone.utc))
        )
        address = f"unix:{tmp_path / 'example.sock'}"
        server.add_insecure_port(address)
        await server.start()
        async with grpc.aio.insecure_channel(address) as channel:

            async def ask(method: str, message: Any) -> Any:
                request, response = wire.SERVICES["HookService"][method]
                stub = channel.unary_unary(
                    f"/{wire.PACKAGE}.HookService/{method}",
                    request_serializer=request.SerializeToString,
                    response_deserializer=response.FromString,
                )
                return await stub(message)

            described = await ask("Describe", wire.DescribeRequest())
            assert described.instance
            call = wire.Call(id="c", instance=described.instance)
            tools = [wire.Tool(name="crm_delete"), wire.Tool(name="crm_read")]
            listed = await ask("FilterTools", wire.FilterToolsRequest(call=call, tools=tools))
            assert list(listed.visible) == ([0, 1] if is_open else [1])
            answer = await ask("BeforeExecute", wire.BeforeExecuteRequest(call=call))
            assert answer.HasField("denial") is not is_open
            call.headers.append(wire.Header(name="x-emergency", value="1"))
            answer = await ask("BeforeExecute", wire.BeforeExecuteRequest(call=call))
            assert not answer.HasField("denial")
        await server.stop(None)

    asyncio.run(main())
