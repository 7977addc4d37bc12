"""The class of a module as dex code: what `lawow.pack.bindings` writes as Java, for an app that is compiled
already.

Names, types and annotations are the same as those of the compiled Java source, so `lawow refactor` finds and
moves such a class alike.
"""

from __future__ import annotations

from lawow.formats.dex.seam import Seam, StubCall, asking_code, module_name
from lawow.formats.dex.source import Assembly, ClassSource, FieldSource, MethodSource
from lawow.formats.dex.spec import (
    ACC_CONSTRUCTOR,
    ACC_FINAL,
    ACC_PRIVATE,
    ACC_PUBLIC,
    ACC_STATIC,
    ValueType,
)
from lawow.formats.dex.symbols import (
    Annotation,
    EncodedAnnotation,
    EncodedValue,
    MethodRef,
    parse_method_descriptor,
)
from lawow.pack.bindings import Binding, Method

__all__ = ["class_descriptor", "dex_class"]

_OFFLOAD = "Ldev/lawow/Offload;"
_BUILD_VISIBLE = 0  # RetentionPolicy.CLASS
_STRING = "Ljava/lang/String;"


def class_descriptor(package: str, name: str) -> str:
    """``com.example``, ``FibWasm`` -> ``Lcom/example/FibWasm;``."""
    return f"L{package.replace('.', '/')}/{name};"


def dex_class(binding: Binding, package: str, seam: str) -> ClassSource:
    """Return the class; `seam` is the function of ``dev.lawow.Lawow`` that its methods call."""
    module = module_name(binding.module)
    address = FieldSource(
        "MODULE", _STRING, ACC_PUBLIC | ACC_STATIC | ACC_FINAL, EncodedValue(ValueType.STRING, module)
    )
    return ClassSource(
        descriptor=class_descriptor(package, binding.class_name),
        access_flags=ACC_PUBLIC | ACC_FINAL,
        fields=(address,),
        methods=(_constructor(), *(_method(item, module, Seam(seam)) for item in binding.methods)),
        annotations=(_offload(module=module),),
    )


def _constructor() -> MethodSource:
    """Return the private constructor that keeps others from making objects."""
    code = (
        ("invoke-direct", (0,), MethodRef("Ljava/lang/Object;", "<init>", "()V")),
        ("return-void",),
    )
    return MethodSource("<init>", "()V", ACC_PRIVATE | ACC_CONSTRUCTOR, Assembly(1, code))


def _method(method: Method, module: str, seam: Seam) -> MethodSource:
    call = StubCall(module, method.export.name, method.signature)
    return MethodSource(
        name=method.name,
        descriptor=method.descriptor,
        access_flags=ACC_PUBLIC | ACC_STATIC,
        code=asking_code(parse_method_descriptor(method.descriptor), call, seam, is_static=True),
        annotations=(_offload(export=method.export.name, signature=method.signature),),
    )


def _offload(**elements: str) -> Annotation:
    """Return ``@Offload`` with these elements, in the order of their names as the format demands."""
    values = tuple((name, EncodedValue(ValueType.STRING, text)) for name, text in sorted(elements.items()))
    return Annotation(_BUILD_VISIBLE, EncodedAnnotation(_OFFLOAD, values))
