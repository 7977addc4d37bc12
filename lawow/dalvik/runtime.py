"""What translated code calls: allocation, exceptions, copies of arrays, the remainder of floats.

Memory: 0 to 15 are zero, so that null, address 0, is an array of length 0 and one comparison finds both a bad
index and null. An array is a reference `r` to {length u32, word u32, elements} (`lawow.dalvik.words`), and so
are a string and an object, whose elements are its fields; a constant string has its number for a word. An
exception is {class u32, message u32, two i32 of detail}; its message is a string. The heap grows upwards and
is dropped after each call; memory that the caller was lent through ``cabi_realloc`` lies below it, has its
capacity for a word, and is kept on a free list.
"""

from __future__ import annotations

from lawow.dalvik.wat import Function

__all__ = [
    "BASE",
    "EXCEPTION",
    "EXCEPTION_BYTES",
    "FIELD_BYTES",
    "FIRST_ADDRESS",
    "FREE",
    "HEAD_BYTES",
    "HEAP",
    "IMPLICIT",
    "RUNTIME",
    "UNWIND",
]

HEAP, UNWIND, EXCEPTION, FREE, BASE = range(5)
"""Numbers of the globals: end of the heap, where the next call begins it (0: it runs), what is thrown, free
list, where constants end."""

HEAD_BYTES = 8
FIELD_BYTES = 8
EXCEPTION_BYTES = 16
RESERVED = 16
FIRST_ADDRESS = RESERVED + EXCEPTION_BYTES
"""Where data begins, behind the null array and the exception that is thrown when there is no memory."""

_MOST_BYTES = 0x7FFF0000

IMPLICIT = (
    "Ljava/lang/NullPointerException;",
    "Ljava/lang/ArrayIndexOutOfBoundsException;",
    "Ljava/lang/ArithmeticException;",
    "Ljava/lang/NegativeArraySizeException;",
    "Ljava/lang/OutOfMemoryError;",
    "Ljava/lang/IllegalArgumentException;",
    "Ljava/lang/StringIndexOutOfBoundsException;",
)
"""What the virtual machine itself throws; the first codes of every module."""

NULL, BOUNDS, ARITHMETIC, NEGATIVE_SIZE, NO_MEMORY, ILLEGAL_ARGUMENT, TEXT_BOUNDS = range(1, 8)

_FUNCTIONS = [
    Function.of(
        "bump",
        "bytes:i32",
        "i32",
        # An address of so many bytes (a multiple of 8), not cleared; 0 if there is no memory.
        f"""global.get {HEAP} local.tee $at i64.extend_i32_u local.get $bytes i64.extend_i32_u i64.add
            local.tee $end i64.const {_MOST_BYTES} i64.gt_u if i32.const 0 return end
            local.get $end i64.const 65535 i64.add i64.const 16 i64.shr_u i32.wrap_i64 memory.size i32.sub
            local.tee $pages i32.const 0 i32.gt_s if
              local.get $pages memory.size i32.const 2 i32.shr_u i32.add memory.grow i32.const -1 i32.eq if
                local.get $pages memory.grow i32.const -1 i32.eq if i32.const 0 return end
              end
            end
            local.get $end i32.wrap_i64 global.set {HEAP} local.get $at""",
        "at:i32 pages:i32 end:i64",
    ),
    Function.of(
        "throw",
        "code:i32 one:i32 two:i32",
        "",
        f"""i32.const {EXCEPTION_BYTES} call bump local.tee $at i32.eqz if
              i32.const {RESERVED} local.set $at end
            local.get $at local.get $code i32.store local.get $at i32.const 0 i32.store +4
            local.get $at local.get $one i32.store +8 local.get $at local.get $two i32.store +12
            local.get $at global.set {EXCEPTION}""",
        "at:i32",
    ),
    Function.of(
        "text_number",
        "text:i32",
        "i32",
        # What is known of an exception's message outside: the number of a constant, -1 for any other string.
        f"""local.get $text i32.eqz if i32.const 0 return end
            local.get $text global.get {BASE} i32.lt_u if:i32 local.get $text i32.load +4
            else i32.const -1 end""",
    ),
    Function.of(
        "new_exception",
        "code:i32",
        "i32",
        f"""i32.const {EXCEPTION_BYTES} call bump local.tee $at i32.eqz if
              i32.const {NO_MEMORY} i32.const 0 i32.const 0 call throw i32.const 0 return end
            local.get $at local.get $code i32.store local.get $at i32.const 0 i32.store +4
            local.get $at i64.const 0 i64.store +8 local.get $at""",
        "at:i32",
    ),
    Function.of(
        "throw_bounds",
        "index:i32 array:i32",
        "",
        f"""local.get $array i32.eqz if i32.const {NULL} i32.const 0 i32.const 0 call throw return end
            i32.const {BOUNDS} local.get $index local.get $array i32.load call throw""",
    ),
    Function.of(
        "throw_text",
        "index:i32 text:i32",
        "",
        f"""local.get $text i32.eqz if i32.const {NULL} i32.const 0 i32.const 0 call throw return end
            i32.const {TEXT_BOUNDS} local.get $index local.get $text i32.load call throw""",
    ),
    Function.of(
        "alloc",
        "count:i32 word:i32",
        "i32",
        # A cleared array, or 0 with an exception. Small ones are cleared here: the instruction is a call.
        f"""local.get $count i32.const 0 i32.lt_s if
              i32.const {NEGATIVE_SIZE} local.get $count i32.const 0 call throw i32.const 0 return end
            local.get $count i64.extend_i32_u local.get $word i32.const 3 i32.and i64.extend_i32_u i64.shl
            i64.const {HEAD_BYTES + 7} i64.add i64.const -8 i64.and local.tee $size
            i64.const {_MOST_BYTES} i64.gt_u if:i32 i32.const 0 else
              local.get $size i32.wrap_i64 local.tee $bytes call bump end
            local.tee $at i32.eqz if
              i32.const {NO_MEMORY} i32.const 0 i32.const 0 call throw i32.const 0 return end
            local.get $bytes i32.const 256 i32.gt_u if
              local.get $at i32.const 0 local.get $bytes memory.fill
            else
              local.get $at local.get $bytes i32.add local.set $end
              local.get $at local.set $next
              loop local.get $next i64.const 0 i64.store
                local.get $next i32.const 8 i32.add local.tee $next local.get $end i32.lt_u br_if 0 end
            end
            local.get $at local.get $count i32.store
            local.get $at local.get $word i32.store +4
            local.get $at""",
        "size:i64 bytes:i32 at:i32 end:i32 next:i32",
    ),
    Function.of(
        "unwind",
        "",
        "",
        f"""global.get {UNWIND} if
              global.get {UNWIND} global.set {HEAP} i32.const 0 global.set {UNWIND} end""",
    ),
    Function.of(
        "cabi_realloc",
        "old:i32 old_size:i32 alignment:i32 size:i32",
        "i32",
        # Memory of the caller: never dropped, and taken again from the free list where it is large enough.
        f"""call unwind
            local.get $old if
              local.get $size local.get $old i32.const 4 i32.sub i32.load i32.le_u if
                local.get $old return end end
            local.get $size i32.const {_MOST_BYTES} i32.gt_u if i32.const 0 return end
            global.get {FREE} local.set $at
            block loop
              local.get $at i32.eqz br_if 1
              local.get $at i32.load +4 local.get $size i32.ge_u if
                local.get $before if local.get $before local.get $at i32.load i32.store
                else local.get $at i32.load global.set {FREE} end
                br 2 end
              local.get $at local.set $before local.get $at i32.load local.set $at br 0
            end end
            local.get $at i32.eqz if
              local.get $size i32.const {HEAD_BYTES + 15} i32.add i32.const -8 i32.and local.tee $bytes
              call bump local.tee $at i32.eqz if i32.const 0 return end
              local.get $at local.get $bytes i32.const {HEAD_BYTES} i32.sub i32.store +4 end
            local.get $old if
              local.get $at i32.const {HEAD_BYTES} i32.add local.get $old local.get $old_size memory.copy
              local.get $old i32.const {HEAD_BYTES} i32.sub call give_back end
            local.get $at i32.const {HEAD_BYTES} i32.add""",
        "at:i32 before:i32 bytes:i32",
    ),
    Function.of(
        "give_back",
        "array:i32",
        "",
        # Twice is once: two parameters may be the same list. The link takes the place of the length: the
        # elements stay for the host to read, as a list that is given back may be the result, too.
        f"""global.get {FREE} local.set $at
            block loop local.get $at i32.eqz br_if 1
              local.get $at local.get $array i32.eq if return end
              local.get $at i32.load local.set $at br 0 end end
            local.get $array global.get {FREE} i32.store local.get $array global.set {FREE}""",
        "at:i32",
    ),
    Function.of(
        "lend",
        "address:i32 count:i32",
        "i32",
        # A list of the caller as an array; an empty one may have no memory of its own.
        f"""local.get $address i32.eqz if local.get $count i32.const 0 call alloc return end
            local.get $address i32.const {HEAD_BYTES} i32.sub local.tee $address
            local.get $count i32.store local.get $address""",
    ),
    Function.of(
        "arraycopy",
        "source:i32 from:i32 target:i32 to:i32 count:i32 shift:i32",
        "",
        f"""local.get $source i32.eqz local.get $target i32.eqz i32.or if
              i32.const {NULL} i32.const 0 i32.const 0 call throw return end
            local.get $from local.get $to i32.or local.get $count i32.or i32.const 0 i32.lt_s
            local.get $from local.get $count i32.add local.get $source i32.load i32.gt_u i32.or
            local.get $to local.get $count i32.add local.get $target i32.load i32.gt_u i32.or if
              i32.const {BOUNDS} local.get $from local.get $source i32.load call throw return end
            local.get $target local.get $to local.get $shift i32.shl i32.add i32.const {HEAD_BYTES} i32.add
            local.get $source local.get $from local.get $shift i32.shl i32.add i32.const {HEAD_BYTES} i32.add
            local.get $count local.get $shift i32.shl memory.copy""",
    ),
    Function.of(
        "copy_of",
        "array:i32 count:i32 word:i32",
        "i32",
        f"""local.get $count i32.const 0 i32.ge_s local.get $array i32.eqz i32.and if
              i32.const {NULL} i32.const 0 i32.const 0 call throw i32.const 0 return end
            local.get $count local.get $word call alloc local.tee $at i32.eqz if i32.const 0 return end
            local.get $at i32.const {HEAD_BYTES} i32.add local.get $array i32.const {HEAD_BYTES} i32.add
            local.get $array i32.load local.get $count local.get $array i32.load local.get $count i32.lt_u
            select local.get $word i32.const 3 i32.and i32.shl memory.copy
            local.get $at""",
        "at:i32",
    ),
    Function.of(
        "copy_of_range",
        "array:i32 from:i32 to:i32 word:i32",
        "i32",
        f"""local.get $from local.get $to i32.gt_s if
              i32.const {ILLEGAL_ARGUMENT} i32.const 0 i32.const 0 call throw i32.const 0 return end
            local.get $array i32.eqz if
              i32.const {NULL} i32.const 0 i32.const 0 call throw i32.const 0 return end
            local.get $from local.get $array i32.load i32.gt_u if
              i32.const {BOUNDS} local.get $from local.get $array i32.load call throw i32.const 0 return end
            local.get $to local.get $from i32.sub local.get $word call alloc local.tee $at i32.eqz if
              i32.const 0 return end
            local.get $at i32.const {HEAD_BYTES} i32.add
            local.get $array i32.const {HEAD_BYTES} i32.add
            local.get $from local.get $word i32.const 3 i32.and i32.shl i32.add
            local.get $to local.get $array i32.load local.get $to local.get $array i32.load i32.lt_s select
            local.get $from i32.sub local.get $word i32.const 3 i32.and i32.shl memory.copy
            local.get $at""",
        "at:i32",
    ),
    Function.of(
        "clone",
        "array:i32 word:i32",
        "i32",
        f"""local.get $array i32.eqz if
              i32.const {NULL} i32.const 0 i32.const 0 call throw i32.const 0 return end
            local.get $array local.get $array i32.load local.get $word call copy_of""",
    ),
    Function.of(
        "fill_data",
        "array:i32 address:i32 count:i32 shift:i32",
        "",
        f"""local.get $array i32.eqz local.get $array i32.load local.get $count i32.lt_u i32.or if
              local.get $count local.get $array call throw_bounds return end
            local.get $array i32.const {HEAD_BYTES} i32.add local.get $address
            local.get $count local.get $shift i32.shl memory.copy""",
    ),
    Function.of(
        "rows",
        "sizes:i32 word:i32 row_word:i32",
        "i32",
        # int[2] {n, m} -> an array of n arrays of m: java.lang.reflect.Array.newInstance
        """local.get $sizes i32.load +12 i32.const 0 i32.lt_s if
              local.get $sizes i32.load +12 local.get $row_word call alloc return end
            local.get $sizes i32.load +8 local.get $word call alloc local.tee $at i32.eqz if
              i32.const 0 return end
            block loop
              local.get $row local.get $at i32.load i32.ge_u br_if 1
              local.get $sizes i32.load +12 local.get $row_word call alloc local.tee $made i32.eqz if
                i32.const 0 return end
              local.get $at local.get $row i32.const 2 i32.shl i32.add local.get $made i32.store +8
              local.get $row i32.const 1 i32.add local.set $row br 0
            end end
            local.get $at""",
        "at:i32 row:i32 made:i32",
    ),
    Function.of(
        "mantissa",
        "bits:i64 exponent:i32",
        "i64",
        """local.get $bits i64.const 0xfffffffffffff i64.and
           local.get $exponent if:i64 i64.const 0x10000000000000 else i64.const 0 end i64.or""",
    ),
    Function.of(
        "drem",
        "x:f64 y:f64",
        "f64",
        # Exact: the mantissas as integers, one subtraction for each bit between the exponents.
        """local.get $x f64.abs local.get $y f64.abs f64.lt if local.get $x return end
           local.get $x local.get $x f64.ne local.get $y local.get $y f64.ne i32.or
           local.get $x f64.abs f64.const inf f64.eq i32.or local.get $y f64.const 0 f64.eq i32.or if
             f64.const nan return end
           local.get $x f64.abs i64.reinterpret_f64 local.tee $mx i64.const 52 i64.shr_u i32.wrap_i64
           local.set $ex
           local.get $y f64.abs i64.reinterpret_f64 local.tee $my i64.const 52 i64.shr_u i32.wrap_i64
           local.set $ey
           local.get $mx local.get $ex call mantissa local.set $mx
           local.get $my local.get $ey call mantissa local.set $my
           local.get $mx i64.clz i32.wrap_i64 i32.const 11 i32.sub local.set $shift
           local.get $ex i32.eqz if i32.const 1 local.get $shift i32.sub local.set $ex
             local.get $mx local.get $shift i64.extend_i32_u i64.shl local.set $mx end
           local.get $my i64.clz i32.wrap_i64 i32.const 11 i32.sub local.set $shift
           local.get $ey i32.eqz if i32.const 1 local.get $shift i32.sub local.set $ey
             local.get $my local.get $shift i64.extend_i32_u i64.shl local.set $my end
           block loop
             local.get $mx local.get $my i64.ge_u if local.get $mx local.get $my i64.sub local.set $mx end
             local.get $ex local.get $ey i32.le_s br_if 1
             local.get $mx i64.const 1 i64.shl local.set $mx
             local.get $ex i32.const 1 i32.sub local.set $ex br 0
           end end
           local.get $mx i64.eqz if f64.const 0 local.get $x f64.copysign return end
           block loop
             local.get $mx i64.const 0x10000000000000 i64.ge_u br_if 1
             local.get $ex i32.const 1 i32.le_s br_if 1
             local.get $mx i64.const 1 i64.shl local.set $mx
             local.get $ex i32.const 1 i32.sub local.set $ex br 0
           end end
           local.get $ex i32.const 1 i32.lt_s if
             local.get $mx i32.const 1 local.get $ex i32.sub i64.extend_i32_u i64.shr_u local.set $mx end
           local.get $mx i64.const 0x10000000000000 i64.ge_u if
             local.get $mx i64.const 0xfffffffffffff i64.and
             local.get $ex i64.extend_i32_u i64.const 52 i64.shl i64.or local.set $mx end
           local.get $mx f64.reinterpret_i64 local.get $x f64.copysign""",
        "mx:i64 my:i64 ex:i32 ey:i32 shift:i32",
    ),
]

RUNTIME = {function.name: function for function in _FUNCTIONS}
