"""Structs in Thrift's compact protocol, of which the directory and the page headers of Parquet files are.

Arrow's own account of a column ends the process (std::terminate) when the directory is damaged, so that is not asked.
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

# Parquet's structs nest six deep.
MAX_DEPTH = 16
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
INTEGERS = (4, 5, 6)


def struct(data: bytes) -> dict[int, Any]:
    """The struct at the begin of `data`: field id -> int, bool, bytes, list or dict; None for a double.

    Raises:
        ValueError: it is damaged, or holds what Parquet has no use for (maps).
    """
    try:
        return _Reader(data).struct(0)
    except IndexError:
        raise ValueError("a struct of Thrift is cut off") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number of Thrift is too long")
        return value | byte << shift

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self, depth: int) -> dict[int, Any]:
        if depth > MAX_DEPTH:
            raise ValueError("structs of Thrift are nested too deep")
        fields: dict[int, Any] = {}
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.integer()
            fields[number] = self.value(head & 0x0F, depth, in_list=False)
        return fields

    def value(self, kind: int, depth: int, *, in_list: bool) -> Any:
        if kind in (TRUE, FALSE):
            return (self.byte() if in_list else kind) == TRUE
        if kind == BYTE:
            return self.byte()
        if kind in INTEGERS:
            return self.integer()
        if kind == DOUBLE:
            self.at += 8
            return None
        if kind == BINARY:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind in (LIST, SET):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 0x0F, depth + 1, in_list=True) for _ in range(count)]
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"Thrift's type {kind} is not of Parquet")
