"""SIMD in compiled functions: sixteen float32 numbers as one value, its lanes.

A CPU computes with 4, 8 or 16 such numbers at once. Whether a compiler vectorises a loop over
arrays depends on the size of the loop's body, on which arrays might overlap, and on the compiler's
version. This module makes it explicit: a value of lanes is one vector register (or two or four
narrower ones), sums stay in registers, and multiply-adds are fused if the CPU supports it.

Every operation has two implementations: one in NumPy, so that `kernel.py_func` runs, and the
instruction that numba compiles a call to. Lanes cannot be passed between compiled functions, only
arrays and scalars can; functions marked `register_jitable` are the exception.

    y = everywhere(np.float32(0))
    for k in range(n):
        y = multiply_add(everywhere(C[k]), load(X, k * WIDTH), y)
    store(y, out, 0)                                    # out[lane] = sum_k C[k] X[k, lane]
"""

import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import models, register_model

WIDTH = 16

_VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
_INTEGERS = ir.VectorType(ir.IntType(32), WIDTH)
_MANTISSA_BITS = 23  # of a float32; the bits above hold the exponent plus its bias
_EXPONENT_BIAS = 127


class _Lanes(types.Type):
    def __init__(self):
        super().__init__("float32x16")


LANES = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, _VECTOR)


def _compiles(function, *kinds, result=LANES):
    """Decorate a generator of instructions; numba then compiles calls of `function` to these.

    Args:
        function: The function called in compiled code.
        kinds: Classes of its arguments' types. Arrays must be flat, contiguous float32, because
            their memory is read as such.
        result: Type of its result.
    """

    def register(generate):
        @infer_global(function)
        class _Template(AbstractTemplate):
            def generic(self, args, kws):
                fits = len(args) == len(kinds) and all(map(isinstance, args, kinds))
                arrays = [arg for arg in args if isinstance(arg, types.Array)]
                if fits and all(map(_is_flat, arrays)):
                    return signature(result, *args)
                return None

        lower_builtin(function, *kinds)(generate)
        return generate

    return register


def _is_flat(array):
    return array.dtype == types.float32 and array.ndim == 1 and array.layout == "C"


def _constant(integers):
    return ir.Constant(_INTEGERS, list(integers))


def _address(context, builder, array_type, array, i_type, i):
    """Return the address of the lanes that begin at element i of a flat array."""
    data = context.make_array(array_type)(context, builder, array).data
    i = context.cast(builder, i, i_type, types.intp)
    return builder.bitcast(builder.gep(data, [i]), _VECTOR.as_pointer())


def _everywhere(builder, number, vector):
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, undefined, _constant([0] * WIDTH))


def _intrinsic(builder, name, arguments):
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{WIDTH}f32")
    return builder.call(function, arguments)


def load(x, i):
    """Return x[i : i + 16] of a flat array."""
    return x[i : i + WIDTH].copy()


@_compiles(load, types.Array, types.Integer)
def _load(context, builder, sig, args):
    place = _address(context, builder, sig.args[0], args[0], sig.args[1], args[1])
    return builder.load(place, align=4)


def store(y, x, i):
    """Set x[i : i + 16] = y in a flat array."""
    x[i : i + WIDTH] = y


@_compiles(store, _Lanes, types.Array, types.Integer, result=types.none)
def _store(context, builder, sig, args):
    y, x, i = args
    builder.store(y, _address(context, builder, sig.args[1], x, sig.args[2], i), align=4)
    return context.get_dummy_value()


def everywhere(number):
    """Return lanes that all hold one float32."""
    return np.full(WIDTH, number, np.float32)


@_compiles(everywhere, types.Float)
def _fill(context, builder, sig, args):
    return _everywhere(builder, context.cast(builder, args[0], sig.args[0], types.float32), _VECTOR)


def multiply_add(a, b, c):
    """Return a * b + c, rounded once if the CPU supports it."""
    return a * b + c


@_compiles(multiply_add, _Lanes, _Lanes, _Lanes)
def _multiply_add(context, builder, sig, args):
    return _intrinsic(builder, "fmuladd", args)


def larger(a, b):
    """Return b where it is larger, else a; NaN of a are kept, NaN of b are ignored."""
    return np.where(b > a, b, a)


@_compiles(larger, _Lanes, _Lanes)
def _larger(context, builder, sig, args):
    a, b = args
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)


def negative_or(a, b, c):
    """Return b where a is negative, else c."""
    return np.where(a < 0, b, c)


@_compiles(negative_or, _Lanes, _Lanes, _Lanes)
def _negative_or(context, builder, sig, args):
    a, b, c = args
    zero = ir.Constant(_VECTOR, [0.0] * WIDTH)
    return builder.select(builder.fcmp_ordered("<", a, zero), b, c)


def absolute(a):
    """Return |a|."""
    return np.abs(a)


@_compiles(absolute, _Lanes)
def _absolute(context, builder, sig, args):
    return _intrinsic(builder, "fabs", args)


def total(a):
    """Return the sum of the lanes."""
    for half in (8, 4, 2, 1):
        a = a[:half] + a[half:]
    return a[0]


@_compiles(total, _Lanes, result=types.float32)
def _total(context, builder, sig, args):
    (a,) = args
    for half in (8, 4, 2, 1):  # lanes from `half` on are no longer read
        others = builder.shuffle_vector(a, a, _constant((p + half) % WIDTH for p in range(WIDTH)))
        a = builder.fadd(a, others)
    return builder.extract_element(a, ir.IntType(32)(0))


def nearest(a):
    """Return the nearest integers."""
    return np.rint(a)


@_compiles(nearest, _Lanes)
def _nearest(context, builder, sig, args):
    return _intrinsic(builder, "rint", args)


def power_of_two(k):
    """Return 2^k for integers k from -127 (which gives 0) to 127."""
    bits = (k.astype(np.int32) + _EXPONENT_BIAS) << _MANTISSA_BITS
    return bits.view(np.float32)


@_compiles(power_of_two, _Lanes)
def _power_of_two(context, builder, sig, args):
    k = builder.fptosi(args[0], _INTEGERS)
    exponent = builder.add(k, _constant([_EXPONENT_BIAS] * WIDTH))
    return builder.bitcast(builder.shl(exponent, _constant([_MANTISSA_BITS] * WIDTH)), _VECTOR)


def hide_below(a, k):
    """Return a with -inf in the lanes below lane k."""
    return np.where(np.arange(WIDTH) < k, np.float32(-np.inf), a)


@_compiles(hide_below, _Lanes, types.Integer)
def _hide_below(context, builder, sig, args):
    a, k = args
    k = context.cast(builder, k, sig.args[1], types.int32)
    hidden = builder.icmp_signed("<", _constant(range(WIDTH)), _everywhere(builder, k, _INTEGERS))
    return builder.select(hidden, ir.Constant(_VECTOR, [float("-inf")] * WIDTH), a)


def transpose(x, i, step, out, o, out_step):
    """Set out[o + c out_step + r] = x[i + r step + c] for 16 rows r and 16 columns c."""
    columns, rows = np.arange(WIDTH)[:, None], np.arange(WIDTH)
    out[o + columns * out_step + rows] = x[i + rows * step + columns]


@_compiles(
    transpose,
    types.Array,
    types.Integer,
    types.Integer,
    types.Array,
    types.Integer,
    types.Integer,
    result=types.none,
)
def _transpose(context, builder, sig, args):
    x_type, _, _, out_type, _, _ = sig.args
    x, i, step, out, o, out_step = (
        value if kind in (x_type, out_type) else context.cast(builder, value, kind, types.intp)
        for value, kind in zip(args, sig.args, strict=True)
    )

    def address(array_type, array, start, step, r):
        i = builder.add(start, builder.mul(step, step.type(r)))
        return _address(context, builder, array_type, array, types.intp, i)

    rows = [builder.load(address(x_type, x, i, step, r), align=4) for r in range(WIDTH)]
    # Swap halves of pairs of rows in 16 x 16 blocks, then in 8 x 8, 4 x 4 and 2 x 2 blocks.
    # The last is (a b) (c d) -> (a c) (b d).
    for half in (8, 4, 2, 1):
        left = _constant([p if p & half == 0 else WIDTH + p - half for p in range(WIDTH)])
        right = _constant([p + half if p & half == 0 else WIDTH + p for p in range(WIDTH)])
        for r in (r for r in range(WIDTH) if r & half == 0):
            a, b = rows[r], rows[r + half]
            rows[r] = builder.shuffle_vector(a, b, left)
            rows[r + half] = builder.shuffle_vector(a, b, right)
    for r, row in enumerate(rows):
        builder.store(row, address(out_type, out, o, out_step, r), align=4)
    return context.get_dummy_value()


def _register_arithmetic(function, instruction):
    @_compiles(function, _Lanes, _Lanes)
    def generate(context, builder, sig, args):
        return getattr(builder, instruction)(*args)


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _register_arithmetic(_function, _instruction)
