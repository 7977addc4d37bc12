"""What keeps a split sound: checks on the app and on each class, before anything is moved.

A moved class keeps its name, its supertypes, its fields and all its methods, so residents may refer to it
as before; only the bodies of the methods that its module implements change. It may lie in another dex
file than its callers and its nested classes, because they share one class loader and thus one package.
What cannot be moved faithfully is refused: `lawow.formats.dex.transplant` names the method and the
instruction (invoke-custom, method handles).
"""

from __future__ import annotations

from collections.abc import Iterable

from lawow.errors import Refused
from lawow.formats.bundle import BoundMethod
from lawow.formats.dex.spec import ACC_DECLARED_SYNCHRONIZED, ACC_SYNCHRONIZED
from lawow.formats.dex.views import ClassView
from lawow.refactor.app import AppPackage
from lawow.refactor.classify import java_name

__all__ = [
    "FIRST_NATIVE_MULTIDEX",
    "consequences",
    "require_loads_several_dex_files",
    "require_movable_class",
]

FIRST_NATIVE_MULTIDEX = 21
"""Android 5.0 (ART) loads classes2.dex and so on by itself; Dalvik loads classes.dex alone."""
ACC_ANNOTATION = 0x2000


def require_loads_several_dex_files(app: AppPackage, *, allow_old_android: bool) -> None:
    """Refuse an app that also installs on Android without native multidex, unless the user knows better."""
    if app.manifest.min_sdk < FIRST_NATIVE_MULTIDEX and not allow_old_android:
        raise Refused(
            f"{app.name}: minSdkVersion is {app.manifest.min_sdk}; Android before {FIRST_NATIVE_MULTIDEX}"
            f" does not load {app.next_dex_name}, where the moved classes go; raise minSdkVersion, or give"
            " --allow-old-android if the app loads several dex files itself or never runs there"
        )


def require_movable_class(view: ClassView) -> None:
    """Refuse kinds of classes that have no methods to move."""
    if view.access_flags & ACC_ANNOTATION:
        raise Refused(f"{java_name(view.descriptor)} is an annotation type; exclude it from --rule")


def consequences(view: ClassView, methods: Iterable[BoundMethod], descriptors: Iterable[str]) -> list[str]:
    """Return what a move changes, or leaves, beyond where the methods run, as sentences.

    `descriptors` are those of all classes of the app.
    """
    proxied = {(bound.method, bound.descriptor) for bound in methods}
    notes = []
    prefix = view.descriptor.removesuffix(";") + "$"
    if nested := sorted(java_name(item) for item in descriptors if item.startswith(prefix)):
        notes.append(f"its nested classes stay on the device as they are: {', '.join(nested)}")
    for method in view.methods:
        if (method.name, method.descriptor) not in proxied:
            continue
        if method.access_flags & (ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED):
            notes.append(f"{method.name} is no longer synchronized: calls reach the edge side by side")
        if method.is_native:
            notes.append(
                f"{method.name} is no longer native: a library that registers it by RegisterNatives fails"
            )
    return notes
