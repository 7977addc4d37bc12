"""A module that was found in what the user named, wherever its bytes come from."""

from __future__ import annotations

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.wasm import ModuleInfo, inspect_module
from lawow.limits import MODULE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Source = bytes | memoryview | Callable[[], bytes]

__all__ = ["Found"]


class Found:
    """One module: the `label` for messages, its bytes, and the `export` if its name was implied (or "").

    `signature` is the one by which that export is called if it has strings or lists, or "". The bytes may be
    a view of the mapped file, or come from an archive when they are first wanted: a large module is not
    copied into this process without need.
    """

    def __init__(self, label: str, source: Source, export: str = "", signature: str = "") -> None:
        self.label = label
        self.export = export
        self.signature = signature
        self._source = source
        self._info: ModuleInfo | None = None

    @property
    def data(self) -> bytes | memoryview:
        """The module's bytes."""
        if not isinstance(self._source, bytes | memoryview):
            self._source = self._source()
        return self._source

    def with_export(self, export: str, signature: str = "") -> Found:
        """Return the same module with an implied export."""
        return Found(self.label, self._source, export, signature)

    @property
    def info(self) -> ModuleInfo:
        """What the module says about itself. Raises `FormatError`, `LimitExceeded`."""
        if self._info is None:
            try:
                self._info = inspect_module(self.data, limits=MODULE)
            except FormatError as error:
                raise error.within(self.label) from None
            except LimitExceeded as error:
                subject = error.subject or self.label
                raise LimitExceeded(
                    error.limit, error.value, error.maximum, hint=error.hint, subject=subject
                ) from None
            if self._info.is_component:
                raise FormatError("is a WebAssembly component; a core module is needed", file=self.label)
        return self._info
