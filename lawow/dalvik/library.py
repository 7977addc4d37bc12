"""Methods of java.lang and java.util that the translator brings along, each exact to the last bit.

Everything of `Math` that is not here (sin, pow, exp, log, ...) differs between implementations in the last
bit and is refused. An entry is code on the stack: arguments lie on it in order, the result is left on it.
``$i0``, ``$j0``, ``$f0``, ``$d0`` and so on are scratch locals of the caller. Source: the classes'
documentation in Java SE.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.dalvik.runtime import ARITHMETIC, BOUNDS, ILLEGAL_ARGUMENT, NULL
from lawow.dalvik.texts import TEXT_FUNCTIONS, TEXT_METHODS
from lawow.dalvik.wat import Function
from lawow.dalvik.words import STRING
from lawow.formats.dex import MethodRef

__all__ = ["FUNCTIONS", "LIBRARY", "Intrinsic"]


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """`code` as text; `throws` whether it can leave an exception; `writes` the argument whose array it
    changes.

    ``WORD`` in the code stands for the word of argument `array`'s type, ``SHIFT`` for its elements' size.
    """

    code: str
    throws: bool = False
    writes: int | None = None
    array: int | None = None
    same: tuple[int, int] | None = None
    """Arguments whose types must be equal: other copies can fail halfway."""
    makes: bool = False
    """Whether it makes an array or a string."""


_TWO = {
    "I": ("local.set $i1 local.set $i0 local.get $i0 local.get $i1 ", "$i"),
    "J": ("local.set $j1 local.set $j0 local.get $j0 local.get $j1 ", "$j"),
}


def _select(kind: str, compare: str) -> str:
    """The first of two integers where the comparison holds, else the second."""
    width = "i32" if kind == "I" else "i64"
    head, local = _TWO[kind]
    return f"{head} local.get {local}0 local.get {local}1 {width}.{compare} select"


def _compare(kind: str, less: str, more: str) -> str:
    width = "i32" if kind == "I" else "i64"
    head, local = _TWO[kind]
    return f"{head} {width}.{more} local.get {local}0 local.get {local}1 {width}.{less} i32.sub"


def _reverse_bits(width: str) -> str:
    """Swap neighbours, pairs, halves of bytes, then bytes."""
    masks = {
        "i32": (0x55555555, 0x33333333, 0x0F0F0F0F),
        "i64": (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F),
    }
    local = "$i0" if width == "i32" else "$j0"
    text = ""
    for bits, mask in zip((1, 2, 4), masks[width], strict=True):
        text += (
            f"local.set {local} local.get {local} {width}.const {bits} {width}.shr_u "
            f"{width}.const {mask} {width}.and "
            f"local.get {local} {width}.const {mask} {width}.and {width}.const {bits} {width}.shl {width}.or "
        )
    return text + (_REVERSE_BYTES if width == "i32" else _REVERSE_BYTES_LONG)


_REVERSE_BYTES = (
    "local.set $i0 local.get $i0 i32.const 8 i32.rotl i32.const 0x00ff00ff i32.and "
    "local.get $i0 i32.const 8 i32.rotr i32.const -16711936 i32.and i32.or "
)
_REVERSE_BYTES_LONG = (
    "local.set $j1 "
    "local.get $j1 i64.const 8 i64.shr_u i64.const 0x00ff00ff00ff00ff i64.and "
    "local.get $j1 i64.const 0x00ff00ff00ff00ff i64.and i64.const 8 i64.shl i64.or local.set $j1 "
    "local.get $j1 i64.const 16 i64.shr_u i64.const 0x0000ffff0000ffff i64.and "
    "local.get $j1 i64.const 0x0000ffff0000ffff i64.and i64.const 16 i64.shl i64.or i64.const 32 i64.rotl "
)
_ABS = "local.tee $i0 i32.const 31 i32.shr_s local.tee $i1 local.get $i0 i32.add local.get $i1 i32.xor"
_ABS_LONG = "local.tee $j0 i64.const 63 i64.shr_s local.tee $j1 local.get $j0 i64.add local.get $j1 i64.xor"
_SIGNUM = (
    "local.tee $i0 i32.const 31 i32.shr_s i32.const 0 local.get $i0 i32.sub i32.const 31 i32.shr_u i32.or"
)
_SIGNUM_LONG = (
    "local.tee $j0 i64.const 63 i64.shr_s i64.const 0 local.get $j0 i64.sub i64.const 63 i64.shr_u i64.or "
    "i32.wrap_i64"
)
_HIGHEST = (
    "local.tee $i0 i32.eqz if:i32 i32.const 0 else i32.const -2147483648 local.get $i0 i32.clz i32.shr_u end"
)
_HIGHEST_LONG = (
    "local.tee $j0 i64.eqz if:i64 i64.const 0 else i64.const -9223372036854775808 local.get $j0 i64.clz "
    "i64.shr_u end"
)
_HASH_LONG = "local.tee $j0 local.get $j0 i64.const 32 i64.shr_u i64.xor i32.wrap_i64"
_FLOAT_BITS = (
    "local.tee $f0 local.get $f0 f32.ne if:i32 i32.const 0x7fc00000 else local.get $f0 "
    "i32.reinterpret_f32 end"
)
_DOUBLE_BITS = (
    "local.tee $d0 local.get $d0 f64.ne if:i64 i64.const 0x7ff8000000000000 else local.get $d0 "
    "i64.reinterpret_f64 end"
)
_ROUND = (  # floor(x + 1/2), with the sum exact
    "local.tee $d0 f64.floor local.tee $d1 local.get $d1 f64.const 1 f64.add "
    "local.get $d0 local.get $d1 f64.sub "
    "f64.const 0.5 f64.lt select "
)
_SIGN_DOUBLE = (
    "local.tee $d0 f64.const 0 f64.eq local.get $d0 local.get $d0 f64.ne i32.or if:f64 local.get $d0 else "
    "f64.const 1 local.get $d0 f64.copysign end"
)
_SIGN_FLOAT = (
    "local.tee $f0 f32.const 0 f32.eq local.get $f0 local.get $f0 f32.ne i32.or if:f32 local.get $f0 else "
    "f32.const 1 local.get $f0 f32.copysign end"
)
_FINITE = "f64.abs f64.const inf f64.lt"
_COMPARE_DOUBLE = "call compare_double"
_THROW_ARITHMETIC = f"i32.const {ARITHMETIC} i32.const 0 i32.const 0 call throw"
_DIVIDE_U = f"local.tee $i0 i32.eqz if {_THROW_ARITHMETIC} i32.const 1 local.set $i0 end local.get $i0 i32."
_DIVIDE_U_LONG = (
    f"local.tee $j0 i64.eqz if {_THROW_ARITHMETIC} i64.const 1 local.set $j0 end local.get $j0 i64."
)
_EXACT = (
    "local.tee $j0 i32.wrap_i64 local.tee $i0 i64.extend_i32_s local.get $j0 i64.ne if "
    f"{_THROW_ARITHMETIC} end local.get $i0"
)
_WIDEN_TWO = "local.set $i1 i64.extend_i32_s local.get $i1 i64.extend_i32_s "

_PURE: dict[str, dict[str, str]] = {
    "Math StrictMath": {
        "sqrt(D)D": "f64.sqrt",
        "abs(D)D": "f64.abs",
        "abs(F)F": "f32.abs",
        "abs(I)I": _ABS,
        "abs(J)J": _ABS_LONG,
        "floor(D)D": "f64.floor",
        "ceil(D)D": "f64.ceil",
        "rint(D)D": "f64.nearest",
        "copySign(DD)D": "f64.copysign",
        "copySign(FF)F": "f32.copysign",
        "signum(D)D": _SIGN_DOUBLE,
        "signum(F)F": _SIGN_FLOAT,
        "round(D)J": f"{_ROUND} i64.trunc_sat_f64_s",
        "round(F)I": f"f64.promote_f32 {_ROUND} i32.trunc_sat_f64_s",
        "min(DD)D": "f64.min",
        "max(DD)D": "f64.max",
        "min(FF)F": "f32.min",
        "max(FF)F": "f32.max",
        "min(II)I": _select("I", "lt_s"),
        "max(II)I": _select("I", "gt_s"),
        "min(JJ)J": _select("J", "lt_s"),
        "max(JJ)J": _select("J", "gt_s"),
        "multiplyHigh(JJ)J": "call multiply_high",
    },
    "Integer": {
        "bitCount(I)I": "i32.popcnt",
        "numberOfLeadingZeros(I)I": "i32.clz",
        "numberOfTrailingZeros(I)I": "i32.ctz",
        "highestOneBit(I)I": _HIGHEST,
        "lowestOneBit(I)I": "local.tee $i0 i32.const 0 local.get $i0 i32.sub i32.and",
        "rotateLeft(II)I": "i32.rotl",
        "rotateRight(II)I": "i32.rotr",
        "reverse(I)I": _reverse_bits("i32"),
        "reverseBytes(I)I": _REVERSE_BYTES,
        "signum(I)I": _SIGNUM,
        "compare(II)I": _compare("I", "lt_s", "gt_s"),
        "compareUnsigned(II)I": _compare("I", "lt_u", "gt_u"),
        "min(II)I": _select("I", "lt_s"),
        "max(II)I": _select("I", "gt_s"),
        "sum(II)I": "i32.add",
        "hashCode(I)I": "",
        "toUnsignedLong(I)J": "i64.extend_i32_u",
    },
    "Long": {
        "bitCount(J)I": "i64.popcnt i32.wrap_i64",
        "numberOfLeadingZeros(J)I": "i64.clz i32.wrap_i64",
        "numberOfTrailingZeros(J)I": "i64.ctz i32.wrap_i64",
        "highestOneBit(J)J": _HIGHEST_LONG,
        "lowestOneBit(J)J": "local.tee $j0 i64.const 0 local.get $j0 i64.sub i64.and",
        "rotateLeft(JI)J": "i64.extend_i32_u i64.rotl",
        "rotateRight(JI)J": "i64.extend_i32_u i64.rotr",
        "reverse(J)J": _reverse_bits("i64"),
        "reverseBytes(J)J": _REVERSE_BYTES_LONG,
        "signum(J)I": _SIGNUM_LONG,
        "compare(JJ)I": _compare("J", "lt_s", "gt_s"),
        "compareUnsigned(JJ)I": _compare("J", "lt_u", "gt_u"),
        "min(JJ)J": _select("J", "lt_s"),
        "max(JJ)J": _select("J", "gt_s"),
        "sum(JJ)J": "i64.add",
        "hashCode(J)I": _HASH_LONG,
    },
    "Short": {"reverseBytes(S)S": f"{_REVERSE_BYTES} i32.const 16 i32.shr_s", "compare(SS)I": "i32.sub"},
    "Byte": {"compare(BB)I": "i32.sub", "toUnsignedInt(B)I": "i32.const 255 i32.and"},
    "Character": {"compare(CC)I": "i32.sub", "reverseBytes(C)C": f"{_REVERSE_BYTES} i32.const 16 i32.shr_u"},
    "Boolean": {"compare(ZZ)I": "i32.sub"},
    "Float": {
        "floatToRawIntBits(F)I": "i32.reinterpret_f32",
        "floatToIntBits(F)I": _FLOAT_BITS,
        "hashCode(F)I": _FLOAT_BITS,
        "intBitsToFloat(I)F": "f32.reinterpret_i32",
        "isNaN(F)Z": "local.tee $f0 local.get $f0 f32.ne",
        "isInfinite(F)Z": "f32.abs f32.const inf f32.eq",
        "isFinite(F)Z": f"f64.promote_f32 {_FINITE}",
        "compare(FF)I": f"f64.promote_f32 local.set $d1 f64.promote_f32 local.get $d1 {_COMPARE_DOUBLE}",
        "min(FF)F": "f32.min",
        "max(FF)F": "f32.max",
        "sum(FF)F": "f32.add",
    },
    "Double": {
        "doubleToRawLongBits(D)J": "i64.reinterpret_f64",
        "doubleToLongBits(D)J": _DOUBLE_BITS,
        "hashCode(D)I": f"{_DOUBLE_BITS} {_HASH_LONG}",
        "longBitsToDouble(J)D": "f64.reinterpret_i64",
        "isNaN(D)Z": "local.tee $d0 local.get $d0 f64.ne",
        "isInfinite(D)Z": "f64.abs f64.const inf f64.eq",
        "isFinite(D)Z": _FINITE,
        "compare(DD)I": _COMPARE_DOUBLE,
        "min(DD)D": "f64.min",
        "max(DD)D": "f64.max",
        "sum(DD)D": "f64.add",
    },
}
_THROWING: dict[str, dict[str, str]] = {
    "Integer": {
        "divideUnsigned(II)I": f"{_DIVIDE_U}div_u",
        "remainderUnsigned(II)I": f"{_DIVIDE_U}rem_u",
    },
    "Long": {
        "divideUnsigned(JJ)J": f"{_DIVIDE_U_LONG}div_u",
        "remainderUnsigned(JJ)J": f"{_DIVIDE_U_LONG}rem_u",
    },
    "Math StrictMath": {
        "addExact(II)I": f"{_WIDEN_TWO} i64.add {_EXACT}",
        "subtractExact(II)I": f"{_WIDEN_TWO} i64.sub {_EXACT}",
        "multiplyExact(II)I": f"{_WIDEN_TWO} i64.mul {_EXACT}",
        "toIntExact(J)I": _EXACT,
        "floorDiv(II)I": "call floor_div",
        "floorMod(II)I": "call floor_mod",
        "floorDiv(JJ)J": "call floor_div_long",
        "floorMod(JJ)J": "call floor_mod_long",
    },
}


def _floor_functions(suffix: str, width: str) -> list[Function]:
    minus = f"{width}.const -1 {width}.eq"
    check = f"local.get $y {width}.eqz if {_THROW_ARITHMETIC} {width}.const 0 return end "
    signs = (
        f"local.get $x local.get $y {width}.xor {width}.const 0 {width}.lt_s "
        f"local.get $r {width}.const 0 {width}.ne i32.and"
    )
    return [
        Function.of(
            f"floor_div{suffix}",
            f"x:{width} y:{width}",
            width,
            f"""{check} local.get $y {minus} if {width}.const 0 local.get $x {width}.sub return end
                local.get $x local.get $y {width}.rem_s local.set $r
                local.get $x local.get $y {width}.div_s local.tee $q {width}.const 1 {width}.sub local.get $q
                {signs} select""",
            f"q:{width} r:{width}",
        ),
        Function.of(
            f"floor_mod{suffix}",
            f"x:{width} y:{width}",
            width,
            f"""{check} local.get $x local.get $y {width}.rem_s local.tee $r
                local.get $y {width}.add local.get $r
                {signs} select""",
            f"r:{width}",
        ),
    ]


def _fill(kind: str) -> list[Function]:
    """Arrays.fill over a whole array and over a range, for one kind of store."""
    store, width, shift = _STORES[kind]
    loop = f"""block loop local.get $at local.get $end i32.ge_u br_if 1
                 local.get $at local.get $value {store} +8
                 local.get $at i32.const {1 << shift} i32.add local.set $at br 0 end end"""
    null = f"local.get $array i32.eqz if i32.const {NULL} i32.const 0 i32.const 0 call throw return end"
    return [
        Function.of(
            f"fill_{kind}",
            f"array:i32 value:{width}",
            "",
            f"""{null} local.get $array local.tee $at
                local.get $array i32.load i32.const {shift} i32.shl i32.add local.set $end {loop}""",
            "at:i32 end:i32",
        ),
        Function.of(
            f"fill_range_{kind}",
            f"array:i32 from:i32 to:i32 value:{width}",
            "",
            f"""{null} local.get $from local.get $to i32.gt_s if
                  i32.const {ILLEGAL_ARGUMENT} i32.const 0 i32.const 0 call throw return end
                local.get $from i32.const 0 i32.lt_s if
                  i32.const {BOUNDS} local.get $from local.get $array i32.load call throw return end
                local.get $to local.get $array i32.load i32.gt_s if
                  i32.const {BOUNDS} local.get $to local.get $array i32.load call throw return end
                local.get $array local.get $from i32.const {shift} i32.shl i32.add local.set $at
                local.get $array local.get $to i32.const {shift} i32.shl i32.add local.set $end {loop}""",
            "at:i32 end:i32",
        ),
    ]


_STORES = {
    "Z": ("i32.store8", "i32", 0),
    "B": ("i32.store8", "i32", 0),
    "S": ("i32.store16", "i32", 1),
    "C": ("i32.store16", "i32", 1),
    "I": ("i32.store", "i32", 2),
    "F": ("f32.store", "f32", 2),
    "J": ("i64.store", "i64", 3),
    "D": ("f64.store", "f64", 3),
}
_COMPARE_DOUBLES = Function.of(
    "compare_double",
    "x:f64 y:f64",
    "i32",
    # -0 before 0, NaN behind all: the order of the bits, with the magnitudes of negative numbers reversed.
    """local.get $x local.get $y f64.lt if i32.const -1 return end
       local.get $x local.get $y f64.gt if i32.const 1 return end
       local.get $x local.get $x f64.ne local.get $y local.get $y f64.ne i32.sub local.tee $nan if
         local.get $nan return end
       local.get $x local.get $x f64.ne if i32.const 0 return end
       local.get $y i64.reinterpret_f64 i64.const 63 i64.shr_u
       local.get $x i64.reinterpret_f64 i64.const 63 i64.shr_u i64.sub i32.wrap_i64""",
    "nan:i32",
)
_MULTIPLY_HIGH = Function.of(
    "multiply_high",
    "x:i64 y:i64",
    "i64",
    """local.get $x i64.const 0xffffffff i64.and local.tee $low
       local.get $y i64.const 0xffffffff i64.and i64.mul i64.const 32 i64.shr_u
       local.get $x i64.const 32 i64.shr_s local.get $y i64.const 0xffffffff i64.and i64.mul i64.add
       local.tee $mid
       i64.const 0xffffffff i64.and local.get $low local.get $y i64.const 32 i64.shr_s i64.mul i64.add
       i64.const 32 i64.shr_s local.get $mid i64.const 32 i64.shr_s i64.add
       local.get $x i64.const 32 i64.shr_s local.get $y i64.const 32 i64.shr_s i64.mul i64.add""",
    "low:i64 mid:i64",
)


def _library() -> dict[MethodRef, Intrinsic]:
    found = {}
    for table, throws in ((_PURE, False), (_THROWING, True)):
        for classes, methods in table.items():
            for name in classes.split():
                for method, code in methods.items():
                    simple, _, descriptor = method.partition("(")
                    ref = MethodRef(f"Ljava/lang/{name};", simple, f"({descriptor}")
                    found[ref] = Intrinsic(code, throws)
    for method, code in TEXT_METHODS.items():
        simple, _, descriptor = method.partition("(")
        makes = descriptor.endswith((STRING, "[C"))
        writes = 3 if simple == "getChars" else None
        found[MethodRef(STRING, simple, f"({descriptor}")] = Intrinsic(code, True, writes, makes=makes)
    arrays = "Ljava/util/Arrays;"
    for kind in _STORES:
        filled = Intrinsic(f"call fill_{kind}", throws=True, writes=0)
        ranged = Intrinsic(f"call fill_range_{kind}", throws=True, writes=0)
        found[MethodRef(arrays, "fill", f"([{kind}{kind})V")] = filled
        found[MethodRef(arrays, "fill", f"([{kind}II{kind})V")] = ranged
        copied = Intrinsic("i32.const WORD call copy_of", throws=True, array=0, makes=True)
        part = Intrinsic("i32.const WORD call copy_of_range", throws=True, array=0, makes=True)
        found[MethodRef(arrays, "copyOf", f"([{kind}I)[{kind}")] = copied
        found[MethodRef(arrays, "copyOfRange", f"([{kind}II)[{kind}")] = part
    copy = Intrinsic("i32.const SHIFT call arraycopy", throws=True, writes=2, array=0, same=(0, 2))
    found[MethodRef("Ljava/lang/System;", "arraycopy", "(Ljava/lang/Object;ILjava/lang/Object;II)V")] = copy
    return found


LIBRARY = _library()
FUNCTIONS = {
    item.name: item
    for item in (
        _COMPARE_DOUBLES,
        _MULTIPLY_HIGH,
        *TEXT_FUNCTIONS,
        *_floor_functions("", "i32"),
        *_floor_functions("_long", "i64"),
        *(function for kind in _STORES for function in _fill(kind)),
    )
}
