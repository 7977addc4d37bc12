"""java.lang.String as the translator knows it: UTF-16 in what is laid out as a ``char[]``, and never changes.

Halves of surrogate pairs are characters like any other. Where implementations throw exceptions of different
classes (``getChars`` to a bad place), or may differ in what they return (``indexOf`` of a negative number), a
function traps, which sends the caller to the original. Source: java.lang.String of Java SE 8 and of Android.
"""

from __future__ import annotations

from lawow.dalvik.runtime import HEAD_BYTES, NULL, TEXT_BOUNDS
from lawow.dalvik.wat import Function
from lawow.dalvik.words import BASIC_WORDS, STRING

__all__ = ["MADE", "TEXT_FUNCTIONS", "TEXT_METHODS"]

MADE = "<made>"
"""What a constructor is called once it gives a string and does not fill one."""

_TEXT, _CHARS = BASIC_WORDS[STRING], BASIC_WORDS["[C"]

TEXT_METHODS = {
    # of instances: the receiver lies below the arguments
    "length()I": "call text_length",
    "isEmpty()Z": "call text_length i32.eqz",
    "charAt(I)C": "call text_at",
    "codePointAt(I)I": "call text_code_point",
    "hashCode()I": "call text_hash",
    "equals(Ljava/lang/Object;)Z": "call text_equals",
    "compareTo(Ljava/lang/String;)I": "call text_compare",
    "indexOf(I)I": "i32.const 0 call text_find",
    "indexOf(II)I": "call text_find",
    "lastIndexOf(I)I": "i32.const 0x7fffffff call text_find_last",
    "lastIndexOf(II)I": "call text_find_last",
    "indexOf(Ljava/lang/String;)I": "i32.const 0 call text_search",
    "indexOf(Ljava/lang/String;I)I": "call text_search",
    "contains(Ljava/lang/CharSequence;)Z": "i32.const 0 call text_search i32.const 0 i32.ge_s",
    "startsWith(Ljava/lang/String;)Z": "i32.const 0 call text_has",
    "startsWith(Ljava/lang/String;I)Z": "call text_has",
    "endsWith(Ljava/lang/String;)Z": "call text_ends",
    "regionMatches(ILjava/lang/String;II)Z": "call text_matches",
    "substring(I)Ljava/lang/String;": "call text_tail",
    "substring(II)Ljava/lang/String;": "call text_part",
    "concat(Ljava/lang/String;)Ljava/lang/String;": "call text_concat",
    "replace(CC)Ljava/lang/String;": "call text_replace",
    "trim()Ljava/lang/String;": "call text_trim",
    "toString()Ljava/lang/String;": "call text_itself",
    "toCharArray()[C": f"i32.const {_CHARS} call clone",
    "getChars(II[CI)V": "call text_get_chars",
    # static
    "valueOf(C)Ljava/lang/String;": "call text_of_char",
    "valueOf([C)Ljava/lang/String;": f"i32.const {_TEXT} call clone",
    "valueOf([CII)Ljava/lang/String;": "call text_of_part",
    "copyValueOf([C)Ljava/lang/String;": f"i32.const {_TEXT} call clone",
    "copyValueOf([CII)Ljava/lang/String;": "call text_of_part",
    f"{MADE}()Ljava/lang/String;": f"i32.const 0 i32.const {_TEXT} call alloc",
    f"{MADE}(Ljava/lang/String;)Ljava/lang/String;": f"i32.const {_TEXT} call clone",
    f"{MADE}([C)Ljava/lang/String;": f"i32.const {_TEXT} call clone",
    f"{MADE}([CII)Ljava/lang/String;": "call text_of_part",
}
"""Methods of strings -> code; all of them can throw."""


def _not_null(*names: str, result: str = "i32.const 0") -> str:
    tests = " ".join(f"local.get ${name} i32.eqz" for name in names)
    either = "i32.or " * (len(names) - 1)
    return f"{tests} {either} if i32.const {NULL} i32.const 0 i32.const 0 call throw {result} return end "


def _out_of(text: str, index: str) -> str:
    """Throw StringIndexOutOfBoundsException."""
    return f"i32.const {TEXT_BOUNDS} local.get ${index} local.get ${text} i32.load call throw"


def _char(text: str, index: str) -> str:
    return f"local.get ${text} local.get ${index} i32.const 1 i32.shl i32.add i32.load16_u +{HEAD_BYTES} "


def _place(text: str, index: str) -> str:
    """Push the address of a character."""
    return f"local.get ${text} local.get ${index} i32.const 1 i32.shl i32.add i32.const {HEAD_BYTES} i32.add "


_STEP = "local.get $at i32.const 1 i32.add local.set $at "
_IS_PAIR = f"""{_char("text", "at")} local.get $ch i32.const 10 i32.shr_u i32.const 0xd7c0 i32.add i32.eq
    local.get $at i32.const 1 i32.add local.tee $next local.get $text i32.load i32.lt_u i32.and if
      {_char("text", "next")} local.get $ch i32.const 0x3ff i32.and i32.const 0xdc00 i32.or i32.eq if
        local.get $at return end end """
"""Return the place if the character beyond U+FFFF in ``ch`` stands there."""
_NO_CHARACTER = "local.get $ch i32.const 0 i32.lt_s if unreachable end "
_HIGHEST = 0x10FFFF

_SEEKING = [
    Function.of(
        "text_find",
        "text:i32 ch:i32 at:i32",
        "i32",
        f"""{_not_null("text")} {_NO_CHARACTER} local.get $ch i32.const {_HIGHEST} i32.gt_s if
              i32.const -1 return end
            local.get $at i32.const 0 i32.lt_s if i32.const 0 local.set $at end
            block loop local.get $at local.get $text i32.load i32.ge_u br_if 1
              local.get $ch i32.const 0xffff i32.gt_u if {_IS_PAIR}
              else {_char("text", "at")} local.get $ch i32.eq if local.get $at return end end
              {_STEP} br 0 end end
            i32.const -1""",
        "next:i32",
    ),
    Function.of(
        "text_find_last",
        "text:i32 ch:i32 at:i32",
        "i32",
        f"""{_not_null("text")} {_NO_CHARACTER} local.get $ch i32.const {_HIGHEST} i32.gt_s if
              i32.const -1 return end
            local.get $at local.get $text i32.load i32.ge_s if
              local.get $text i32.load i32.const 1 i32.sub local.set $at end
            block loop local.get $at i32.const 0 i32.lt_s br_if 1
              local.get $ch i32.const 0xffff i32.gt_u if {_IS_PAIR}
              else {_char("text", "at")} local.get $ch i32.eq if local.get $at return end end
              local.get $at i32.const 1 i32.sub local.set $at br 0 end end
            i32.const -1""",
        "next:i32",
    ),
    Function.of(
        "text_same",
        "text:i32 from:i32 other:i32 at:i32 count:i32",
        "i32",
        # Whether so many characters are equal; all of them are there.
        f"""block loop local.get $count i32.eqz br_if 1
              {_char("text", "from")} {_char("other", "at")} i32.ne if i32.const 0 return end
              local.get $from i32.const 1 i32.add local.set $from {_STEP}
              local.get $count i32.const 1 i32.sub local.set $count br 0 end end
            i32.const 1""",
    ),
    Function.of(
        "text_matches",
        "text:i32 from:i32 other:i32 at:i32 count:i32",
        "i32",
        f"""{_not_null("text", "other")}
            local.get $from local.get $at i32.or i32.const 0 i32.lt_s if i32.const 0 return end
            local.get $from i64.extend_i32_u local.get $count i64.extend_i32_s i64.add
            local.get $text i64.load32_u i64.gt_s
            local.get $at i64.extend_i32_u local.get $count i64.extend_i32_s i64.add
            local.get $other i64.load32_u i64.gt_s i32.or if i32.const 0 return end
            local.get $count i32.const 0 i32.le_s if i32.const 1 return end
            local.get $text local.get $from local.get $other local.get $at local.get $count call text_same""",
    ),
    Function.of(
        "text_has",
        "text:i32 part:i32 from:i32",
        "i32",
        f"""{_not_null("text", "part")}
            local.get $text local.get $from local.get $part i32.const 0 local.get $part i32.load
            call text_matches""",
    ),
    Function.of(
        "text_ends",
        "text:i32 part:i32",
        "i32",
        f"""{_not_null("text", "part")}
            local.get $text local.get $part
            local.get $text i32.load local.get $part i32.load i32.sub call text_has""",
    ),
    Function.of(
        "text_search",
        "text:i32 part:i32 at:i32",
        "i32",
        f"""{_not_null("text", "part")}
            local.get $at i32.const 0 i32.lt_s if i32.const 0 local.set $at end
            local.get $part i32.load i32.eqz if
              local.get $at local.get $text i32.load local.get $at local.get $text i32.load i32.lt_s select
              return end
            block loop local.get $at i64.extend_i32_u local.get $part i64.load32_u i64.add
              local.get $text i64.load32_u i64.gt_u br_if 1
              local.get $text local.get $at local.get $part i32.const 0 local.get $part i32.load
              call text_same if local.get $at return end
              {_STEP} br 0 end end
            i32.const -1""",
    ),
]

_LOOKING = [
    Function.of("text_length", "text:i32", "i32", f"{_not_null('text')} local.get $text i32.load"),
    Function.of("text_itself", "text:i32", "i32", f"{_not_null('text')} local.get $text"),
    Function.of(
        "text_at",
        "text:i32 at:i32",
        "i32",
        f"""local.get $at local.get $text i32.load i32.ge_u if
              local.get $at local.get $text call throw_text i32.const 0 return end {_char("text", "at")}""",
    ),
    Function.of(
        "text_code_point",
        "text:i32 at:i32",
        "i32",
        f"""local.get $text local.get $at call text_at local.tee $high i32.const 0xfc00 i32.and
            i32.const 0xd800 i32.ne if local.get $high return end
            {_STEP} local.get $at local.get $text i32.load i32.ge_u if local.get $high return end
            {_char("text", "at")} local.tee $low i32.const 0xfc00 i32.and i32.const 0xdc00 i32.ne if
              local.get $high return end
            local.get $high i32.const 10 i32.shl local.get $low i32.add
            i32.const {0x10000 - (0xD800 << 10) - 0xDC00} i32.add""",
        "high:i32 low:i32",
    ),
    Function.of(
        "text_hash",
        "text:i32",
        "i32",
        f"""{_not_null("text")} block loop local.get $at local.get $text i32.load i32.ge_u br_if 1
              local.get $hash i32.const 31 i32.mul {_char("text", "at")} i32.add local.set $hash
              {_STEP} br 0 end end
            local.get $hash""",
        "at:i32 hash:i32",
    ),
    Function.of(
        "text_equals",
        "text:i32 other:i32",
        "i32",
        f"""{_not_null("text")} local.get $text local.get $other i32.eq if i32.const 1 return end
            local.get $other i32.eqz local.get $text i32.load local.get $other i32.load i32.ne i32.or if
              i32.const 0 return end
            local.get $text i32.const 0 local.get $other i32.const 0 local.get $text i32.load
            call text_same""",
    ),
    Function.of(
        "text_compare",
        "text:i32 other:i32",
        "i32",
        f"""{_not_null("text", "other")}
            block loop local.get $at local.get $text i32.load i32.ge_u
              local.get $at local.get $other i32.load i32.ge_u i32.or br_if 1
              {_char("text", "at")} {_char("other", "at")} i32.sub local.tee $less if
                local.get $less return end
              {_STEP} br 0 end end
            local.get $text i32.load local.get $other i32.load i32.sub""",
        "at:i32 less:i32",
    ),
]

_MAKING = [
    Function.of(
        "text_part",
        "text:i32 from:i32 to:i32",
        "i32",
        f"""{_not_null("text")} local.get $from i32.const 0 i32.lt_s if
              {_out_of("text", "from")} i32.const 0 return end
            local.get $to local.get $text i32.load i32.gt_s local.get $from local.get $to i32.gt_s i32.or if
              {_out_of("text", "to")} i32.const 0 return end
            local.get $from i32.eqz local.get $to local.get $text i32.load i32.eq i32.and if
              local.get $text return end
            local.get $text local.get $from local.get $to i32.const {_TEXT} call copy_of_range""",
    ),
    Function.of(
        "text_tail",
        "text:i32 from:i32",
        "i32",
        "local.get $text local.get $from local.get $text i32.load call text_part",
    ),
    Function.of(
        "text_concat",
        "text:i32 other:i32",
        "i32",
        f"""{_not_null("text", "other")} local.get $other i32.load i32.eqz if local.get $text return end
            local.get $text i32.load local.get $other i32.load i32.add local.tee $count
            i32.const 0 i32.lt_s if
              unreachable end
            local.get $text local.get $count i32.const {_TEXT} call copy_of local.tee $made i32.eqz if
              i32.const 0 return end
            local.get $text i32.load local.set $at
            {_place("made", "at")} local.get $other i32.const {HEAD_BYTES} i32.add
            local.get $other i32.load i32.const 1 i32.shl memory.copy local.get $made""",
        "count:i32 made:i32 at:i32",
    ),
    Function.of(
        "text_replace",
        "text:i32 old:i32 new:i32",
        "i32",
        # The first to change makes a copy, which the rest of the way goes through.
        f"""{_not_null("text")} local.get $old local.get $new i32.eq if local.get $text return end
            local.get $text local.set $made
            block loop local.get $at local.get $text i32.load i32.ge_u br_if 1
              {_char("text", "at")} local.get $old i32.eq if
                local.get $made local.get $text i32.eq if
                  local.get $text i32.const {_TEXT} call clone local.tee $made
                  i32.eqz if i32.const 0 return end
                end
                local.get $made local.get $at i32.const 1 i32.shl i32.add
                local.get $new i32.store16 +{HEAD_BYTES}
              end
              {_STEP} br 0 end end
            local.get $made""",
        "made:i32 at:i32",
    ),
    Function.of(
        "text_trim",
        "text:i32",
        "i32",
        f"""{_not_null("text")} local.get $text i32.load i32.const 1 i32.sub local.set $last
            block loop local.get $at local.get $last i32.gt_s br_if 1
              {_char("text", "at")} i32.const 32 i32.gt_u br_if 1 {_STEP} br 0 end end
            block loop local.get $at local.get $last i32.gt_s br_if 1
              {_char("text", "last")} i32.const 32 i32.gt_u br_if 1
              local.get $last i32.const 1 i32.sub local.set $last br 0 end end
            local.get $text local.get $at local.get $last i32.const 1 i32.add call text_part""",
        "at:i32 last:i32",
    ),
    Function.of(
        "text_of_char",
        "ch:i32",
        "i32",
        f"""i32.const 1 i32.const {_TEXT} call alloc local.tee $made if
              local.get $made local.get $ch i32.store16 +{HEAD_BYTES} end local.get $made""",
        "made:i32",
    ),
    Function.of(
        "text_of_part",
        "array:i32 from:i32 count:i32",
        "i32",
        f"""{_not_null("array")} local.get $from local.get $count i32.or i32.const 0 i32.lt_s
            local.get $from local.get $count i32.add local.get $array i32.load i32.gt_u i32.or if
              {_out_of("array", "from")} i32.const 0 return end
            local.get $array local.get $from local.get $from local.get $count i32.add i32.const {_TEXT}
            call copy_of_range""",
    ),
    Function.of(
        "text_get_chars",
        "text:i32 from:i32 to:i32 array:i32 at:i32",
        "",
        # Implementations look at text and array in different orders, and throw different classes.
        f"""{_not_null("text", result="")} local.get $to local.get $text i32.load i32.gt_s
            local.get $from i32.const 0 i32.lt_s i32.or local.get $from local.get $to i32.gt_s i32.or if
              local.get $array i32.eqz if unreachable end {_out_of("text", "from")} return end
            {_not_null("array", result="")} local.get $to local.get $from i32.sub local.set $to
            local.get $at i32.const 0 i32.lt_s
            local.get $at local.get $to i32.add local.get $array i32.load i32.gt_u i32.or if
              unreachable end
            {_place("array", "at")} {_place("text", "from")} local.get $to i32.const 1 i32.shl memory.copy""",
    ),
]

TEXT_FUNCTIONS = (*_LOOKING, *_SEEKING, *_MAKING)
