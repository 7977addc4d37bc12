"""LAWOW: move compute off a phone or a robot and onto an edge server, as WebAssembly.

The three tools of the command line are three packages: `lawow.pack` embeds modules and a Wasm runtime into an
Android module's tree, `lawow.refactor` splits an APK into a slim APK and an offload bundle, `lawow.execution`
runs exports of modules. `lawow.server` is the edge. Nothing is imported before it is used.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
