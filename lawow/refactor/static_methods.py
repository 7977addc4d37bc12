"""Finds a static method of an app by what a person calls it."""

from __future__ import annotations

from collections.abc import Iterator

from lawow.errors import UsageError
from lawow.formats.apk import AppPackage
from lawow.formats.dex.names import java_name
from lawow.formats.dex.views import ClassView, MethodView
from lawow.refactor.findings import describe_method
from lawow.refactor.names import PLAIN_NAMES
from lawow.refactor.rules import did_you_mean, simple_name

__all__ = ["find_static_method"]


def find_static_method(app: AppPackage, text: str) -> MethodView:
    """Return the method that ``Fft.run``, ``com.example.Fft.run`` or either with its types names.

    Raises `UsageError` if there is none, or several.
    """
    path, bracket, types = text.partition("(")
    owner, _, name = path.rpartition(".")
    views = list(_classes(app, owner))
    if not views:
        known = [java_name(name) for item in app.dexes for name in item.dex.class_names()]
        if "." not in owner:
            known = [simple_name(name) for name in known]
        raise UsageError(f"{text}: the app has no class {owner}{did_you_mean(owner, known)}")
    static = [item for view in views for item in view.methods if item.is_static and item.has_code]
    found = [item for item in static if item.name == name and item.descriptor.startswith(bracket + types)]
    if not found:
        near = did_you_mean(name, [item.name for item in static])
        raise UsageError(f"{text}: {owner} has no such static method{near}")
    if len(found) > 1:
        labels = ", ".join(describe_method(item, PLAIN_NAMES) for item in found[:4])
        raise UsageError(f"{text}: there are {len(found)}; name one of {labels}")
    return found[0]


def _classes(app: AppPackage, owner: str) -> Iterator[ClassView]:
    for item in app.dexes:
        for descriptor in item.dex.class_names():
            if owner in (java_name(descriptor), simple_name(java_name(descriptor))):
                yield item.dex.class_def(descriptor)
