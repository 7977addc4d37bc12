"""Package Tools: WebAssembly modules and a runtime into an Android app's source tree, without JDK, SDK or
NDK."""

from lawow.pack.packer import PackPlan, plan_pack
from lawow.pack.tree import Changes, plan_removal

__all__ = ["Changes", "PackPlan", "plan_pack", "plan_removal"]
