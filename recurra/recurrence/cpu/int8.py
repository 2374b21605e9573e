"""Matrices of int8, widened to floats in registers as they are read: a quarter of the bytes of float32."""

from recurra.recurrence.cpu.vector import Index, Value, Vectors


class Widened:
    """Reads such a matrix as `Vectors` reads one of its own type."""

    def __init__(self, v: Vectors) -> None:
        self._v, self._bytes = v, Vectors(v.builder, v.module, "int8", v.lanes)

    def at(self, pointer: Value, index: Index) -> Value:
        return self._bytes.at(pointer, index)

    def load(self, pointer: Value, index: Index = 0) -> Value:
        return self._widened(self._bytes.load(pointer, index))

    def load_masked(self, pointer: Value, index: Index, mask: Value) -> Value:
        return self._widened(self._bytes.load_masked(pointer, index, mask))

    def _widened(self, value: Value) -> Value:
        builder, v = self._v.builder, self._v
        return builder.sitofp(builder.sext(value, v.integers), v.vector)
