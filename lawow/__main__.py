"""``python -m lawow``."""

from lawow.cli import main

main()
