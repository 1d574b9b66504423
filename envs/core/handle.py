"""``w`` as compiled rules see it on the CPU: one address.

Passing the forty arrays of a world as a NamedTuple would pass three hundred words with every call of a rule (about 100 ns) and
take a minute to compile. A `Handle` is the address of a table of int64 words; the type knows at which word each array's
address and extents stand, so ``w.state.box`` compiles to a few loads. Rules read the same attributes on the NamedTuple that
stands in for it in plain Python and on CUDA.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, models, register_model
from numba.np.arrayobj import make_array, populate_array

_WORD = ir.IntType(64)


class Handle(types.Type):
    """A group of arrays and numbers. ``entries``: ``(name, Handle | ("array", dtype, ndim, word) | ("number", kind, word))``."""

    def __init__(self, entries: tuple[tuple[str, Any], ...]):
        self.entries = entries
        super().__init__(name=f"Handle({entries!r})")

    @property
    def key(self) -> Any:
        return self.entries

    def entry(self, name: str) -> Any:
        """The entry of that name, or None."""
        return dict(self.entries).get(name)


def layout(group: Any, words: list[int], held: list[np.ndarray]) -> Handle:
    """The `Handle` type of a NamedTuple of arrays, numbers and NamedTuples; its words are appended to ``words``.

    ``held`` collects the arrays whose addresses the words contain.
    """
    entries: list[tuple[str, Any]] = []
    for name, value in zip(group._fields, group, strict=True):
        if isinstance(value, tuple):
            entries.append((name, layout(value, words, held)))
        elif isinstance(value, np.ndarray):
            entries.append((name, ("array", str(value.dtype), value.ndim, len(words))))
            words.extend([value.ctypes.data, *value.shape])
            held.append(value)
        elif isinstance(value, (bool, int, np.integer)):
            entries.append((name, ("number", "bool" if isinstance(value, bool) else "int64", len(words))))
            words.append(int(value))
        else:
            entries.append((name, ("number", "float64", len(words))))
            words.append(int(np.float64(value).view(np.int64)))
    return Handle(tuple(entries))


@register_model(Handle)
class _HandleModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any):
        super().__init__(manager, kind, _WORD)


def _entry_type(entry: Any) -> types.Type:
    if isinstance(entry, Handle):
        return entry
    dtype = types.boolean if entry[1] == "bool" else getattr(types, entry[1])
    return types.Array(dtype, entry[2], "C") if entry[0] == "array" else dtype


@infer_getattr
class _HandleAttributes(AttributeTemplate):
    key = Handle

    def generic_resolve(self, handle: Handle, name: str) -> types.Type | None:  # type: ignore[override]
        entry = handle.entry(name)
        return None if entry is None else _entry_type(entry)


def _word(builder: Any, base: Any, place: int, kind: Any = _WORD) -> Any:
    """Word ``place`` of the table at ``base``. The table never changes, and says so: loads may be moved and merged."""
    address = builder.add(base, ir.Constant(_WORD, 8 * place))
    loaded = builder.load(builder.inttoptr(address, kind.as_pointer()))
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded


@lower_getattr_generic(Handle)
def _read(context: Any, builder: Any, handle: Handle, base: Any, name: str) -> Any:
    entry = handle.entry(name)
    if isinstance(entry, Handle):
        return base
    if entry[0] == "number":
        if entry[1] == "float64":
            return _word(builder, base, entry[2], ir.DoubleType())
        value = _word(builder, base, entry[2])
        return builder.icmp_signed("!=", value, ir.Constant(_WORD, 0)) if entry[1] == "bool" else value
    kind: Any = _entry_type(entry)
    _, _, ndim, place = entry
    array = make_array(kind)(context, builder)
    element = context.get_data_type(kind.dtype)
    size = ir.Constant(_WORD, context.get_abi_sizeof(element))
    shape = [_word(builder, base, place + 1 + axis) for axis in range(ndim)]
    strides: list[Any] = []
    step = size
    for extent in reversed(shape):
        strides.insert(0, step)
        step = builder.mul(step, extent)
    populate_array(
        array,
        data=builder.inttoptr(_word(builder, base, place), element.as_pointer()),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


def _fetch(typing_context, array, place):
    """Begin to bring the entry at flat index ``place`` of an array into the cache, without waiting for it. For `Rules.ahead`."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)

    def codegen(context, builder, signature, arguments):
        address = builder.gep(make_array(signature.args[0])(context, builder, arguments[0]).data, [arguments[1]])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(prefetch, [builder.bitcast(address, byte), number(0), number(3), number(1)])  # to be read; kept; data
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


fetch: Any = intrinsic(_fetch)


def attacher(handle: Handle) -> Any:
    """A function for compiled code that reads a table (int64 array) as ``handle``."""

    @intrinsic
    def attach(typing_context, table):
        def codegen(context, builder, signature, arguments):
            data = make_array(signature.args[0])(context, builder, arguments[0]).data
            return builder.ptrtoint(data, _WORD)

        return handle(table), codegen

    return attach
