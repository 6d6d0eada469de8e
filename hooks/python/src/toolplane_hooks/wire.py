"""The messages of `toolplane.hooks.v1`, built when this module is imported.

`wire.lock` beside this file is the part of the repository's `proto/wire.lock` that begins with the package's name: one
line per field, enum value and method. Neither a compiler nor generated code is needed to read it, and a test compares
the two files. Types are in `wire.pyi`.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory

PACKAGE = "toolplane.hooks.v1"

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _Field.TYPE_STRING, "bool": _Field.TYPE_BOOL, "uint32": _Field.TYPE_UINT32}
_METHOD = re.compile(r"(\w+)/(\w+) = \.(\S+) -> \.(\S+)")
_MEMBER = re.compile(r"([\w.]+)\.(\w+) = (\d+)(?: (?:(repeated|optional)|oneof (\w+)))?(?: (\S+))?")


class _File:
    """A file descriptor in the making."""

    def __init__(self) -> None:
        self.proto = descriptor_pb2.FileDescriptorProto(
            name="toolplane/hooks/v1/hooks.proto", package=PACKAGE, syntax="proto3"
        )
        self.proto.dependency.append(duration_pb2.DESCRIPTOR.name)
        self.messages: dict[str, Any] = {}
        self.enums: dict[str, Any] = {}
        self.methods: dict[str, dict[str, tuple[str, str]]] = {}

    def message(self, path: str) -> Any:
        if path not in self.messages:
            outer, _, name = path.rpartition(".")
            siblings = self.message(outer).nested_type if outer else self.proto.message_type
            self.messages[path] = siblings.add(name=name)
            # The only nested messages there are: what `map<string, string>` stands for.
            self.messages[path].options.map_entry = bool(outer)
        return self.messages[path]

    def add(self, line: str) -> None:
        line = line.removeprefix(PACKAGE + ".")
        if method := _METHOD.fullmatch(line):
            service, name, request, response = method.groups()
            # Messages without fields have no lines of their own.
            self.message(request.removeprefix(PACKAGE + "."))
            self.message(response.removeprefix(PACKAGE + "."))
            self.methods.setdefault(service, {})[name] = (request, response)
        elif member := _MEMBER.fullmatch(line):
            owner, name, number, label, oneof, kind = member.groups()
            if kind is None:
                self._add_value(owner, name, int(number))
            else:
                self._add_field(self.message(owner), name, int(number), label, oneof, kind)
        else:
            raise ValueError(f"wire.lock: cannot read `{line}`")

    def _add_value(self, enum: str, name: str, number: int) -> None:
        if enum not in self.enums:
            self.enums[enum] = self.proto.enum_type.add(name=enum)
        self.enums[enum].value.add(name=name, number=number)

    def _add_field(self, message: Any, name: str, number: int, label: str | None, oneof: str | None, kind: str) -> None:
        field = message.field.add(name=name, number=number)
        field.label = _Field.LABEL_REPEATED if label == "repeated" else _Field.LABEL_OPTIONAL
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            # Whether it is a message or an enum is found out when all lines are read.
            field.type_name = kind
        if label == "optional":
            # proto3 tells an absent scalar from an empty one by a oneof of its own.
            field.proto3_optional = True
            oneof = "_" + name
        if oneof is not None:
            names = [known.name for known in message.oneof_decl]
            if oneof not in names:
                message.oneof_decl.add(name=oneof)
                names.append(oneof)
            field.oneof_index = names.index(oneof)

    def finish(self) -> descriptor_pb2.FileDescriptorProto:
        enums = {f".{PACKAGE}.{name}" for name in self.enums}
        for message in self.messages.values():
            for field in message.field:
                if field.type_name:
                    field.type = _Field.TYPE_ENUM if field.type_name in enums else _Field.TYPE_MESSAGE
        for enum in self.enums.values():
            # proto3 wants the zero first, the lock is in the order of the alphabet.
            values = sorted(enum.value, key=lambda value: int(value.number))
            ordered = [
                descriptor_pb2.EnumValueDescriptorProto(name=value.name, number=value.number) for value in values
            ]
            del enum.value[:]
            enum.value.extend(ordered)
        return self.proto


def _build() -> tuple[dict[str, Any], dict[str, dict[str, tuple[Any, Any]]]]:
    file = _File()
    for line in resources.files(__package__).joinpath("wire.lock").read_text("utf-8").splitlines():
        file.add(line)
    # A pool of its own: another library of the process may know these names as well.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.finish().SerializeToString())
    make_class: Any = getattr(message_factory, "GetMessageClass", None)
    if make_class is None:
        # protobuf before 4.22, which Debian 12 has.
        make_class = message_factory.MessageFactory(pool).GetPrototype

    def message_class(full_name: str) -> Any:
        return make_class(pool.FindMessageTypeByName(full_name))

    names: dict[str, Any] = {name: message_class(f"{PACKAGE}.{name}") for name in file.messages if "." not in name}
    for enum in file.enums.values():
        names.update((value.name, value.number) for value in enum.value)
    services = {
        service: {
            name: (message_class(request), message_class(response)) for name, (request, response) in methods.items()
        }
        for service, methods in file.methods.items()
    }
    return names, services


_NAMES, SERVICES = _build()
"""By service and method: the classes of request and response."""

globals().update(_NAMES)
