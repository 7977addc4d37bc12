#!/usr/bin/env python3
"""The command ``lawow``, which an installer copies to its folder of programs; and ``python -m lawow``."""

from lawow.cli import main

main()
