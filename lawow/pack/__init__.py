"""Package Tools: WebAssembly modules and a runtime into an Android app: into its source tree, or its APK.

Needs no JDK, SDK or NDK.
"""

from lawow.pack.options import Builder, PackOptions
from lawow.pack.packer import PackPlan, plan_pack
from lawow.pack.tree import Changes, plan_removal

__all__ = ["Builder", "Changes", "PackOptions", "PackPlan", "plan_pack", "plan_removal"]
