"""The code side of the split: originals out of their dex files, proxies and the stub library into a new
one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from lawow.errors import FormatError, Refused
from lawow.formats.apk import AppDex, AppPackage
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.gc import collect_garbage
from lawow.formats.dex.mark import Later
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.symbols import References
from lawow.formats.dex.transplant import transplant_class
from lawow.formats.dex.writer import drop_classes
from lawow.refactor.aside import Aside
from lawow.refactor.classify import is_library
from lawow.refactor.plan import SplitPlan
from lawow.refactor.replacement import replaced_class
from lawow.refactor.stub_parts import named_by_resources, names_in, needed_classes
from lawow.resources import android_stub

__all__ = ["DexSplit", "Remainder", "split_dexes"]

_JAVA_ENGINE = "Ldev/lawow/EndiveEngine;"
"""Where an app defines it, the runtime is the one in Java, and goes by no other name than this."""
_WORTH_A_COPY_BYTES = 1 << 20
"""Scanning this much takes longer than copying the process."""


@dataclass(frozen=True)
class Remainder:
    """A dex file as it will be. `content` may hold ids that nobody uses any more, `dex` does not."""

    name: str
    content: bytes
    has_orphan_ids: bool

    @cached_property
    def dex(self) -> Dex:
        """The dex file without ids that nobody uses: what its tables name, somebody uses."""
        try:
            return read_dex(collect_garbage(self.content) if self.has_orphan_ids else self.content)
        except FormatError as error:
            raise error.within(self.name) from None


@dataclass(frozen=True, slots=True)
class DexSplit:
    """New contents by dex file; the new file, empty if nothing moves; and what the code that stays uses."""

    rewritten: dict[str, bytes]
    added_name: str
    added: bytes
    remainders: tuple[Remainder, ...]
    moved_references: tuple[tuple[str, References], ...]

    @property
    def contents(self) -> dict[str, bytes]:
        """All dex files that differ from the original's, the new one last, by name."""
        return {**self.rewritten, self.added_name: self.added} if self.added else {}


def split_dexes(
    plan: SplitPlan,
    stub: bytes,
    *,
    keep_orphan_ids: bool,
    is_elastic: bool = False,
    is_shadowed: bool = False,
) -> DexSplit:
    """Carry out the plan on the app's dex files; elastic proxies keep their originals. If `is_shadowed`,
    some calls of translated methods are compared with them.

    Every definition of a moved class is dropped, the first one moves. The app's own copy of the stub
    library is dropped too, so that there is one, of this version; an app with the runtime in Java gets this
    version's part of it as well. Raises `Refused` for code that cannot
    be moved faithfully, `FormatError` for damaged dex files.
    """
    gone = {move.descriptor for move in plan.moves}
    gone.update(item.descriptor for item in plan.classes if is_library(item.descriptor))
    rewritten: dict[str, bytes] = {}
    remainders = []
    for item in plan.app.dexes:
        local = gone.intersection(item.dex.class_names())
        if not local:
            remainders.append(Remainder(item.name, item.content, has_orphan_ids=False))
            continue
        content = _without(plan.app, item, local, keep_orphan_ids=keep_orphan_ids)
        rewritten[item.name] = content
        remainders.append(Remainder(item.name, content, has_orphan_ids=keep_orphan_ids))
    for companion in plan.app.companions:
        remainders += [
            Remainder(f"{companion.name}: {item.name}", item.content, has_orphan_ids=False)
            for item in companion.dexes
        ]
    added = _new_dex(plan, stub, remainders, is_elastic=is_elastic, is_shadowed=is_shadowed)
    new = read_dex(added)
    references = tuple(
        (move.classified.name, new.references_of(new.class_def(move.descriptor))) for move in plan.moves
    )
    return DexSplit(rewritten, plan.app.next_dex_name, added, tuple(remainders), references)


def _without(app: AppPackage, item: AppDex, gone: set[str], *, keep_orphan_ids: bool) -> bytes:
    """Return the dex file without the classes `gone`."""
    beside = Aside if len(item.content) >= _WORTH_A_COPY_BYTES else Later
    try:
        return drop_classes(item.dex, gone, keep_orphan_ids=keep_orphan_ids, beside=beside)
    except FormatError as error:
        raise error.within(item.name).within(app.name) from None


def _new_dex(
    plan: SplitPlan, stub: bytes, remainders: Sequence[Remainder], *, is_elastic: bool, is_shadowed: bool
) -> bytes:
    """Build the dex file of the proxies and what the app needs of the stub library."""
    holders = {item.name: item for item in plan.app.dexes}
    used = {move.classified.dex_files[0] for move in plan.moves}
    stub_dex = read_dex(stub)
    builder = DexBuilder(max([stub_dex.version, *(holders[name].dex.version for name in used)]))
    for move in plan.moves:
        holder = holders[move.classified.dex_files[0]]
        try:
            builder.add(replaced_class(holder.dex, move, is_elastic=is_elastic, is_shadowed=is_shadowed))
        except FormatError as error:
            raise error.within(holder.name).within(plan.app.name) from None
        except Refused as error:
            raise Refused(f"{plan.app.name}: {holder.name}: {error}") from None
    for engine in _java_engine(plan):
        for descriptor in engine.class_names():
            builder.add(transplant_class(engine, descriptor))
    named = names_in(builder.build()) | _named_by_residents(plan.app, remainders)
    for descriptor in needed_classes(stub_dex, named):
        builder.add(transplant_class(stub_dex, descriptor))
    return builder.build()


def _java_engine(plan: SplitPlan) -> Iterator[Dex]:
    """Yield the classes that lead to the runtime in Java, for an app that was packed with it."""
    if any(item.descriptor == _JAVA_ENGINE for item in plan.classes):
        yield read_dex(android_stub("prebuilt", "lawow-endive.dex").read_bytes())


def _named_by_residents(app: AppPackage, remainders: Sequence[Remainder]) -> set[str]:
    """Return which of the stub library's classes the code that stays, and what lies beside it, name."""
    try:
        return named_by_resources(app).union(*(names_in(remainder.dex.data) for remainder in remainders))
    except FormatError as error:
        raise error.within(app.name) from None
