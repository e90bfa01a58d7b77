"""Protobuf messages described in code: nothing is generated, nothing compiled at run time.

A message is a table of `name: (number, type)`; a type is a scalar's name, the name of another
message, either in a list where the field is repeated, or `map<string>` for a map of strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Field = tuple[int, str]
Messages = Mapping[str, Mapping[str, Field]]

_TYPES = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "fixed64": 6, "fixed32": 7,
    "bool": 8, "string": 9, "bytes": 12, "uint32": 13, "sfixed32": 15, "sfixed64": 16, "sint32": 17,
    "sint64": 18,
}  # fmt: skip
"""FieldDescriptorProto.Type. Enums are read as int32: unknown numbers stay what they are."""

_STRING_MAP = "map<string>"


def build_messages(package: str, messages: Messages) -> dict[str, type[Any]]:
    """Message classes by name. A type that ends in `*` is repeated.

    Unknown fields are kept unread, as protobuf does; text that is not UTF-8 fails the parse.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package.replace('.', '/')}.proto", package=package, syntax="proto3"
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            _add_field(message, package, field_name, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _add_field(
    message: descriptor_pb2.DescriptorProto, package: str, name: str, number: int, kind: str
) -> None:
    repeated = kind.endswith("*")
    kind = kind.removesuffix("*")
    if kind == _STRING_MAP:
        entry = message.nested_type.add(name=f"{_camel(name)}Entry")
        entry.options.map_entry = True
        for key, at in (("key", 1), ("value", 2)):
            entry.field.add(name=key, number=at, label=1, type=9)
        message.field.add(
            name=name,
            number=number,
            label=3,
            type=11,
            type_name=f".{package}.{message.name}.{entry.name}",
        )
        return
    label: Any = 3 if repeated else 1
    if kind in _TYPES:
        scalar: Any = _TYPES[kind]
        message.field.add(name=name, number=number, label=label, type=scalar)
    else:
        inner: Any = 11
        message.field.add(
            name=name, number=number, label=label, type=inner, type_name=f".{package}.{kind}"
        )


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
