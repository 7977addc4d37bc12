"""Every error that LAWOW raises on purpose, and the exit code of the command line for each.

::

    LawowError                    exit  meaning
    ├── UsageError                 2    the command line or a call asks for something that does not exist
    ├── FormatError                3    an input file is not what its format's specification allows
    │   └── KeystoreError          3    a signing key cannot be read (wrong password, wrong alias, damaged)
    ├── LimitExceeded              4    a limit was hit; says which, its value and how to raise it
    ├── Refused                    4    a policy says no, although nothing is broken
    │   └── Unauthorized           4    the edge does not accept this token
    ├── GuestTrap                  5    the WebAssembly guest trapped
    ├── LocalProtocolError         1    this side used the protocol wrongly
    ├── RemoteProtocolError        6    the other side broke the protocol
    ├── OutcomeUnknown             6    the connection was lost after the request was sent; it may have run
    └── HostLost                   6    the edge cannot be reached, or died before the call started

Anything else that escapes is a defect of LAWOW. A parser returns a value or raises `FormatError`;
nothing else may escape it, whatever the bytes are.
"""

from __future__ import annotations

__all__ = [
    "FormatError",
    "GuestTrap",
    "HostLost",
    "KeystoreError",
    "LawowError",
    "LimitExceeded",
    "LocalProtocolError",
    "OutcomeUnknown",
    "Refused",
    "RemoteProtocolError",
    "Unauthorized",
    "UsageError",
]


class LawowError(Exception):
    """Base of all errors. `str(error)` is one sentence for a person; `exit_code` is for the shell."""

    exit_code = 1

    def details(self) -> dict[str, object]:
        """Return the machine-readable parts, for `--json`; keys are stable within a major version."""
        return {}


class UsageError(LawowError):
    """The caller asks for something that does not exist: an export, an option, a class."""

    exit_code = 2


class FormatError(LawowError):
    """An input violates its format.

    `structure` is the specification's name of the place (``string_ids``), `index` the element in it,
    `offset` the byte position in the input, `found` and `allowed` what stands there and what may.
    `file` is filled in from the inside out by `within`: ``app.apk: classes.dex``.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        structure: str = "",
        index: int | None = None,
        offset: int | None = None,
        found: object = None,
        allowed: object = None,
        file: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.structure = structure
        self.index = index
        self.offset = offset
        self.found = found
        self.allowed = allowed
        self.file = file

    def within(self, file: str) -> FormatError:
        """Prefix the name of the file that holds the input, and return the error itself to raise."""
        self.file = f"{file}: {self.file}" if self.file else file
        return self

    def __str__(self) -> str:
        place = self.structure if self.index is None else f"{self.structure or 'entry'}[{self.index}]"
        text = ": ".join(part for part in (self.file, place, self.message) if part)
        facts = []
        if self.found is not None:
            facts.append(f"found {self.found}")
        if self.allowed is not None:
            facts.append(f"allowed {self.allowed}")
        if self.offset is not None:
            facts.append(f"at offset {self.offset:#x}")
        return f"{text} ({', '.join(facts)})" if facts else text

    def details(self) -> dict[str, object]:
        """Return file, structure, index, offset, found and allowed, where they are known."""
        pairs = {
            "file": self.file or None,
            "structure": self.structure or None,
            "index": self.index,
            "offset": self.offset,
            "found": None if self.found is None else str(self.found),
            "allowed": None if self.allowed is None else str(self.allowed),
        }
        return {key: value for key, value in pairs.items() if value is not None}


class KeystoreError(FormatError):
    """A signing key cannot be used: wrong password, unknown alias, unsupported or damaged file."""


class LimitExceeded(LawowError):
    """A limit was hit. `limit` is its name in `lawow.limits`; `hint` says how to raise it."""

    exit_code = 4

    def __init__(
        self, limit: str, value: object, maximum: object, *, hint: str = "", subject: str = ""
    ) -> None:
        self.limit = limit
        self.value = value
        self.maximum = maximum
        self.hint = hint
        self.subject = subject
        text = f"{limit} is {value}, the limit is {maximum}"
        text = f"{subject}: {text}" if subject else text
        super().__init__(f"{text}; {hint}" if hint else text)

    def details(self) -> dict[str, object]:
        """Return the limit's name, the value met and the maximum."""
        return {"limit": self.limit, "value": str(self.value), "maximum": str(self.maximum)}


class Refused(LawowError):
    """A policy says no: nothing is broken, but going on would not be sound or not be safe."""

    exit_code = 4


class Unauthorized(Refused):
    """The edge does not accept the token."""


class GuestTrap(LawowError):
    """The guest trapped.

    `code` is the trap's name in kebab-case (``integer-divide-by-zero``), or ``exit`` for a WASI exit with a
    status other than 0 (then `status` holds it). `frames` are guest function names, innermost first.
    """

    exit_code = 5

    def __init__(
        self, code: str, message: str, *, frames: tuple[str, ...] = (), status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.frames = frames
        self.status = status

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} (in {' < '.join(self.frames)})" if self.frames else text

    def details(self) -> dict[str, object]:
        """Return the trap code, the guest frames (innermost first) and the exit status if there is one."""
        pairs: dict[str, object] = {"code": self.code, "frames": list(self.frames)}
        if self.status is not None:
            pairs["status"] = self.status
        return pairs


class LocalProtocolError(LawowError):
    """This side used a protocol object wrongly; nothing was sent."""


class RemoteProtocolError(LawowError):
    """The other side sent something that the protocol does not allow."""

    exit_code = 6


class OutcomeUnknown(LawowError):
    """The connection was lost after the request had been sent; the call may have run."""

    exit_code = 6


class HostLost(LawowError):
    """The edge cannot be reached, or it died before the call had started."""

    exit_code = 6
