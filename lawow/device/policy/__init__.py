"""Where calls run: the hook that an elastic function asks, and policies to put there.

`Adaptive` weighs time, energy and price by what it learned; docs/decision.md tells how. The others are to
compare it with, and for those who know better.
"""

from __future__ import annotations

from lawow.device.policy.adaptive import Adaptive, Explanation
from lawow.device.policy.basic import Automatic, ElasticCall, Local, Place, Policy, Remote
from lawow.device.policy.call_graph import CallGraph
from lawow.device.policy.classic import QLearning, Static, Threshold
from lawow.device.policy.cost import CostModel, Link, Objective, Prediction
from lawow.device.policy.link_meter import LinkMeter

__all__ = [
    "Adaptive",
    "Automatic",
    "CallGraph",
    "CostModel",
    "ElasticCall",
    "Explanation",
    "Link",
    "LinkMeter",
    "Local",
    "Objective",
    "Place",
    "Policy",
    "Prediction",
    "QLearning",
    "Remote",
    "Static",
    "Threshold",
]
