"""What a guest may reach beyond its own memory: nothing, unless it stands in a `Grants`.

Folders, variables of the environment and standard input are those of WASI preview 1; a guest that was granted
a folder can neither see nor leave its parents. Host functions are Python functions which a module imports
(`lawow.runtime.host_functions`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lawow.runtime.host_functions import HostFunction

__all__ = ["NOTHING", "Directory", "Grants"]


class Directory:
    """A folder of this machine, `host`, under the name `guest` that the guest uses for it."""

    __slots__ = ("guest", "host", "is_writable")

    def __init__(self, host: str, guest: str, is_writable: bool) -> None:
        self.host = host
        self.guest = guest
        self.is_writable = is_writable


class Grants:
    """All that is granted to one guest.

    `stdin`: whether it reads this process's standard input, or the bytes that it reads instead (not for
    components). The process's own is one stream: what one guest has read is gone for the next.
    `arguments` is a command's own command line, its name first.
    """

    __slots__ = ("arguments", "directories", "environment", "functions", "stdin")

    def __init__(
        self,
        directories: Sequence[Directory] = (),
        environment: Sequence[tuple[str, str]] = (),
        stdin: bool | bytes = False,
        functions: Sequence[HostFunction] = (),
        arguments: Sequence[str] = (),
    ) -> None:
        self.directories = tuple(directories)
        self.environment = tuple(environment)
        self.stdin = stdin
        self.functions = tuple(functions)
        self.arguments = tuple(arguments)

    def with_arguments(self, arguments: Sequence[str]) -> Grants:
        """Return the same grants with a command line."""
        return Grants(self.directories, self.environment, self.stdin, self.functions, arguments)


NOTHING = Grants()
"""The default everywhere."""
