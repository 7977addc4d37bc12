"""A method for each instruction of Dalvik, written with the assembler: what the translator has to do with
it."""

from __future__ import annotations

from collections.abc import Sequence

from lawow.formats.dex import (
    ACC_FINAL,
    ACC_PUBLIC,
    ACC_STATIC,
    Assembly,
    ClassSource,
    DexBuilder,
    EncodedValue,
    FieldRef,
    FieldSource,
    MethodRef,
    MethodSource,
    Try,
    ValueType,
)
from lawow.formats.dex.opcodes import OPCODES

__all__ = ["OWNER", "REFUSED", "build", "cases"]

OWNER = "Lcases/Ops;"
HOLDER = "Lcases/Holder;"
STATIC = ACC_PUBLIC | ACC_STATIC
TEXT = "Ljava/lang/String;"
FAULT = "Ljava/lang/IllegalStateException;"
INIT = MethodRef(FAULT, "<init>", f"({TEXT})V")

REFUSED = {
    **dict.fromkeys(("monitor-enter", "monitor-exit"), "locks are not translated"),
    "instance-of": "objects are not translated",
    **{name: "calls " for name in OPCODES if name.startswith(("invoke-super", "invoke-interface"))},
    **{
        name: "method handles are not translated"
        for name in OPCODES
        if name.startswith(("invoke-polymorphic", "invoke-custom", "const-method"))
    },
}
"""Instructions that are refused, and how the reason begins."""

TYPES = {"int": "I", "long": "J", "float": "F", "double": "D", "byte": "B", "char": "C", "short": "S"}
ELEMENTS = {
    "": "I",
    "-wide": "J",
    "-object": "[I",
    "-boolean": "Z",
    "-byte": "B",
    "-char": "C",
    "-short": "S",
}
STATICS = {
    "": ("I", EncodedValue(ValueType.INT, -0x12345678)),
    "-wide": ("J", EncodedValue(ValueType.LONG, 1 << 60)),
    "-boolean": ("Z", EncodedValue(ValueType.BOOLEAN, True)),
    "-byte": ("B", EncodedValue(ValueType.BYTE, -7)),
    "-char": ("C", EncodedValue(ValueType.CHAR, 0xFFFE)),
    "-short": ("S", EncodedValue(ValueType.SHORT, -300)),
}


def words(kind: str) -> int:
    """Return how many registers a value takes."""
    return 2 if kind in "JD" else 1


def ret(kind: str) -> str:
    """Return the mnemonic that returns a value."""
    return "return-wide" if kind in "JD" else "return-object" if kind[0] in "[L" else "return"


def method(
    name: str, descriptor: str, registers: int, code: Sequence[object], tries: Sequence[Try] = ()
) -> MethodSource:
    """Return a static method."""
    return MethodSource(mangled(name), descriptor, STATIC, Assembly(registers, tuple(code), tries))  # type: ignore[arg-type]


def mangled(name: str) -> str:
    """Return an instruction's name as a method's."""
    return name.replace("-", "_").replace("/", "_")


def _arithmetic(name: str) -> MethodSource:
    """v0 and v1 for the result, the arguments from v2 on."""
    stem = name.partition("/")[0]
    head, _, tail = stem.partition("-")
    if "-to-" in stem:
        source, target = (TYPES[word] for word in stem.split("-to-"))
        result = "I" if target in "BCS" else target
        return method(name, f"({source}){result}", 2 + words(source), [(name, 0, 2), (ret(result), 0)])
    if head in ("neg", "not"):
        kind = TYPES[tail]
        return method(name, f"({kind}){kind}", 2 + words(kind), [(name, 0, 2), (ret(kind), 0)])
    if head.startswith("cmp"):
        kind = TYPES[tail]
        return method(
            name, f"({kind}{kind})I", 2 + 2 * words(kind), [(name, 0, 2, 2 + words(kind)), ("return", 0)]
        )
    if OPCODES[name].format in ("22s", "22b"):
        literal = -7 if "lit8" in name else 1000
        return method(name, "(I)I", 3, [(name, 0, 2, literal), ("return", 0)])
    kind = TYPES[tail]
    other = "I" if head in ("shl", "shr", "ushr") else kind
    second = 2 + words(kind)
    operands = (2, second) if name.endswith("/2addr") else (0, 2, second)
    return method(
        name, f"({kind}{other}){kind}", second + words(other), [(name, *operands), (ret(kind), operands[0])]
    )


def _element(name: str) -> MethodSource:
    kind = ELEMENTS[name[4:]]
    if name.startswith("aget"):
        return method(name, f"([{kind}I){kind}", 4, [(name, 0, 2, 3), (ret(kind), 0)])
    if name == "aput-object":  # into an array of its own, so that no row comes back
        code = [
            ("const/4", 0, 3),
            ("new-array", 0, 0, "[[I"),
            (name, 3, 0, 4),
            ("aget-object", 1, 0, 4),
            ("return-object", 1),
        ]
        return method(name, "([II)[I", 5, code)
    return method(
        name,
        f"({kind}[{kind}I)V",
        2 + words(kind) + 2,
        [(name, 2, 2 + words(kind), 3 + words(kind)), ("return-void",)],
    )


def _field(name: str) -> MethodSource:
    """Set and read a field, of null if the last argument is 0."""
    suffix = name[4:]
    kind = ELEMENTS[suffix]
    field = FieldRef(HOLDER, f"f{mangled(suffix)}", kind)
    value, flag = 3, 3 + words(kind)
    code = [
        ("const/4", 0, 0),
        ("if-eqz", flag, ":null"),
        ("new-instance", 0, HOLDER),
        ("invoke-direct", (0,), MethodRef(HOLDER, "<init>", "()V")),
        ":null",
        (f"iput{suffix}", value, 0, field),
        (f"iget{suffix}", 1, 0, field),
        (ret(kind), 1),
    ]
    return method(name, f"({kind}I){kind}", flag + 1, code)


def _holder() -> ClassSource:
    fields = tuple(FieldSource(f"f{mangled(suffix)}", kind, ACC_PUBLIC) for suffix, kind in ELEMENTS.items())
    code = [("invoke-direct", (0,), MethodRef("Ljava/lang/Object;", "<init>", "()V")), ("return-void",)]
    init = MethodSource("<init>", "()V", ACC_PUBLIC | 0x10000, Assembly(1, tuple(code)))
    return ClassSource(HOLDER, ACC_PUBLIC, fields=fields, methods=(init,))


def _test(name: str) -> MethodSource:
    registers = (2,) if name.endswith("z") else (2, 3)
    code = [("const/4", 0, 1), (name, *registers, ":yes"), ("const/4", 0, 0), ":yes", ("return", 0)]
    return method(name, f"({'I' * len(registers)})I", 2 + len(registers), code)


def _move(name: str) -> MethodSource:
    kind = "J" if "wide" in name else "[I" if "object" in name else "I"
    return method(name, f"({kind}){kind}", 2 + words(kind), [(name, 0, 2), (ret(kind), 0)])


def _constant(name: str) -> MethodSource:
    values = {"const/4": -8, "const/16": -32768, "const/high16": 0x4049, "const-wide/high16": 0x4009}
    kind = "J" if "wide" in name else "I"
    kind = {"const/high16": "F", "const-wide/high16": "D"}.get(name, kind)
    # enjarify does not extend the sign of const-wide/32, as the specification wants it.
    value = values.get(name, {"const": -0x12345678, "const-wide/32": 0x12345678}.get(name, 0x1234))
    value = 0x123456789ABCDEF if name == "const-wide" else value
    return method(name, f"(){kind}", 2, [(name, 0, value), (ret(kind), 0)])


def _static(name: str) -> MethodSource:
    kind = "[I" if "object" in name else STATICS[name[4:]][0]
    owner = "S" if name.startswith("sput") else "G"
    field = FieldRef(f"Lcases/{owner};", mangled(name[1:]).replace("put", "get"), kind)
    if kind != "[I":
        return method(name, f"(){kind}", 2, [(f"sget{name[4:]}", 0, field), (ret(kind), 0)])
    return method(name, "(I)I", 3, [("sget-object", 0, field), ("aget", 0, 0, 2), ("return", 0)])


def _switch(name: str) -> MethodSource:
    payload = (
        ("packed-switch-payload", -1, (":a", ":b", ":a", ":b"))
        if name == "packed-switch"
        else ("sparse-switch-payload", ((-1 << 31, ":a"), (-1, ":b"), (7, ":a"), (0x7FFFFFFF, ":b")))
    )
    code = [
        (name, 1, ":table"),
        ("const/4", 0, 0),
        ("return", 0),
        ":a",
        ("const/4", 0, 1),
        ("return", 0),
        ":b",
        ("const/4", 0, 2),
        ("return", 0),
        ":table",
        payload,
    ]
    return method(name, "(I)I", 2, code)


def _throwing(name: str, code: Sequence[object], registers: int = 3) -> MethodSource:
    return method(name, "(I)I", registers, code)


def _special() -> list[MethodSource]:
    absolute = MethodRef("Ljava/lang/Math;", "abs", "(I)I")
    wide = MethodRef("Ljava/lang/Math;", "abs", "(J)J")
    copy = MethodRef("Ljava/util/Arrays;", "copyOf", "([II)[I")
    clone = MethodRef("[I", "clone", "()Ljava/lang/Object;")
    helper = MethodRef(OWNER, "helper", "(IJ)J")
    rows = MethodRef("Ljava/lang/reflect/Array;", "newInstance", "(Ljava/lang/Class;[I)Ljava/lang/Object;")
    text = [
        ("new-instance", 0, FAULT),
        ("const-string", 1, "my text"),
        ("invoke-direct", (0, 1), INIT),
        ("throw", 0),
    ]
    jumbo = [*text[:1], ("const-string/jumbo", 1, "my other text"), *text[2:]]
    ranged = [*text[:2], ("invoke-direct/range", (0, 2), INIT), ("throw", 0)]
    caught = [
        ":s",
        ("div-int", 0, 1, 2),
        ":e",
        ("return", 0),
        ":h",
        ("move-exception", 0),
        ("const/16", 0, -77),
        ("return", 0),
    ]
    handler = (Try(":s", ":e", (("Ljava/lang/ArithmeticException;", ":h"),)),)
    matrix = [
        ("rem-int/lit16", 3, 3, 50),
        ("rem-int/lit16", 4, 4, 50),
        ("filled-new-array", (3, 4), "[I"),
        ("move-result-object", 0),
        ("const-class", 1, "[I"),
        ("sget-object", 1, FieldRef("Ljava/lang/Integer;", "TYPE", "Ljava/lang/Class;")),
        ("invoke-static", (1, 0), rows),
        ("move-result-object", 0),
        ("check-cast", 0, "[[I"),
        ("array-length", 0, 0),
        ("return", 0),
    ]
    return [
        method("nop", "()V", 0, [("nop",), ("return-void",)]),
        method("return-void", "([I)V", 3, [("const/4", 0, 0), ("aput", 0, 2, 0), ("return-void",)]),
        method("return", "(I)I", 1, [("return", 0)]),
        method("return-wide", "(J)J", 2, [("return-wide", 0)]),
        method("return-object", "([I)[I", 1, [("return-object", 0)]),
        method(
            "move-result", "(I)I", 2, [("invoke-static", (1,), absolute), ("move-result", 0), ("return", 0)]
        ),
        method(
            "move-result-wide",
            "(J)J",
            2,
            [("invoke-static", (0, 1), wide), ("move-result-wide", 0), ("return-wide", 0)],
        ),
        method(
            "move-result-object",
            "([II)[I",
            2,
            [
                ("rem-int/lit16", 1, 1, 100),
                ("invoke-static", (0, 1), copy),
                ("move-result-object", 0),
                ("return-object", 0),
            ],
        ),
        method("move-exception", "(II)I", 3, caught, handler),
        _throwing("throw", text),
        _throwing("const-string", text),
        _throwing("const-string/jumbo", jumbo),
        _throwing(
            "new-instance",
            [
                ("new-instance", 0, FAULT),
                ("invoke-direct", (0,), MethodRef(FAULT, "<init>", "()V")),
                ("throw", 0),
            ],
        ),
        _throwing("invoke-direct", text),
        _throwing("invoke-direct/range", ranged),
        method("const-class", "(II)I", 5, matrix),
        method(
            "check-cast",
            "([I)[I",
            2,
            [
                ("invoke-virtual", (1,), clone),
                ("move-result-object", 0),
                ("check-cast", 0, "[I"),
                ("return-object", 0),
            ],
        ),
        method(
            "invoke-virtual",
            "([I)[I",
            2,
            [
                ("invoke-virtual", (1,), clone),
                ("move-result-object", 0),
                ("check-cast", 0, "[I"),
                ("return-object", 0),
            ],
        ),
        method(
            "invoke-virtual/range",
            "([I)[I",
            2,
            [
                ("invoke-virtual/range", (1, 1), clone),
                ("move-result-object", 0),
                ("check-cast", 0, "[I"),
                ("return-object", 0),
            ],
        ),
        method(
            "invoke-static",
            "(IJ)J",
            3,
            [("invoke-static", (0, 1, 2), helper), ("move-result-wide", 0), ("return-wide", 0)],
        ),
        method(
            "invoke-static/range",
            "(IJ)J",
            3,
            [("invoke-static/range", (0, 3), helper), ("move-result-wide", 0), ("return-wide", 0)],
        ),
        method("array-length", "([D)I", 2, [("array-length", 0, 1), ("return", 0)]),
        method(
            "new-array",
            "(I)[J",
            2,
            [("rem-int/lit16", 1, 1, 100), ("new-array", 0, 1, "[J"), ("return-object", 0)],
        ),
        method(
            "filled-new-array",
            "(II)[I",
            3,
            [("filled-new-array", (2, 1, 2), "[I"), ("move-result-object", 0), ("return-object", 0)],
        ),
        method(
            "filled-new-array/range",
            "(III)[I",
            4,
            [("filled-new-array/range", (1, 3), "[I"), ("move-result-object", 0), ("return-object", 0)],
        ),
        method(
            "fill-array-data",
            "()[S",
            1,
            [
                ("const/4", 0, 4),
                ("new-array", 0, 0, "[S"),
                ("fill-array-data", 0, ":d"),
                ("return-object", 0),
                ":d",
                ("array-payload", 2, (1, -2, 300)),
            ],
        ),
        method("goto", "(I)I", 2, [("goto", ":on"), ":back", ("return", 1), ":on", ("goto", ":back")]),
        method(
            "goto/16", "(I)I", 2, [("goto/16", ":on"), ":back", ("return", 1), ":on", ("goto/16", ":back")]
        ),
        method(
            "goto/32", "(I)I", 2, [("goto/32", ":on"), ":back", ("return", 1), ":on", ("goto/32", ":back")]
        ),
    ]


def cases() -> dict[str, MethodSource]:
    """Return the method that tests each instruction that is translated, by the instruction."""
    found = {}
    special = {item.name: item for item in _special()}
    for name in OPCODES:
        if name in REFUSED:
            continue
        if mangled(name) in special:
            found[name] = special[mangled(name)]
        elif name.startswith(("iget", "iput")):
            found[name] = _field(name)
        elif name.startswith(("aget", "aput")):
            found[name] = _element(name)
        elif name.startswith("if-"):
            found[name] = _test(name)
        elif name.startswith("move"):
            found[name] = _move(name)
        elif name.startswith("const"):
            found[name] = _constant(name)
        elif name.startswith(("sget", "sput")):
            found[name] = _static(name)
        elif name.endswith("-switch"):
            found[name] = _switch(name)
        else:
            found[name] = _arithmetic(name)
    return found


def build() -> bytes:
    """Return a dex file with all cases."""
    helper = method(
        "helper", "(IJ)J", 5, [("int-to-long", 0, 2), ("sub-long/2addr", 0, 3), ("return-wide", 0)]
    )
    unique = {item.name: item for item in cases().values()}
    builder = DexBuilder("035")
    builder.add(ClassSource(OWNER, ACC_PUBLIC, methods=(*unique.values(), helper)))
    builder.add(_holder())
    builder.add(
        ClassSource("Lcases/G;", ACC_PUBLIC, fields=_fields(encoded=True), methods=(_table_initializer("G"),))
    )
    builder.add(
        ClassSource("Lcases/S;", ACC_PUBLIC, fields=_fields(encoded=False), methods=(_sput_initializer(),))
    )
    return builder.build()


def _fields(*, encoded: bool) -> tuple[FieldSource, ...]:
    flags = STATIC | ACC_FINAL
    plain = [
        FieldSource(mangled(f"get{suffix}"), kind, flags, value if encoded else None)
        for suffix, (kind, value) in STATICS.items()
    ]
    return (*plain, FieldSource("get_object", "[I", flags))


def _table(owner: str) -> list[object]:
    return [
        ("const/4", 0, 3),
        ("new-array", 0, 0, "[I"),
        ("fill-array-data", 0, ":d"),
        ("sput-object", 0, FieldRef(f"Lcases/{owner};", "get_object", "[I")),
    ]


def _table_initializer(owner: str) -> MethodSource:
    code = [*_table(owner), ("return-void",), ":d", ("array-payload", 4, (5, -6, 7))]
    return MethodSource("<clinit>", "()V", STATIC | 0x10000, Assembly(2, tuple(code)))  # type: ignore[arg-type]


def _sput_initializer() -> MethodSource:
    code = _table("S")
    for suffix, (kind, value) in STATICS.items():
        literal = ("const-wide", 0, value.value) if kind == "J" else ("const", 0, int(value.value))  # type: ignore[arg-type,call-overload]
        code += [literal, (f"sput{suffix}", 0, FieldRef("Lcases/S;", mangled(f"get{suffix}"), kind))]
    code += [("return-void",), ":d", ("array-payload", 4, (5, -6, 7))]
    return MethodSource("<clinit>", "()V", STATIC | 0x10000, Assembly(2, tuple(code)))  # type: ignore[arg-type]
