"""The command line: one file per verb.

`main` is the console script. The common form of ``lawow exec`` is answered before click, rich, argparse or
anything else that costs start-up time is imported; all other input goes to the click commands in
`lawow.cli.main`.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line on `sys.argv` and end the process with the exit code of `lawow.errors`."""
    if len(sys.argv) > 2 and sys.argv[1] == "exec":
        from lawow.cli.quick_exec import quick_exec

        quick_exec(sys.argv[2:])  # does not return when it could answer
    from lawow.cli.main import run

    run()
