"""The network on Linux: kind by the default route, signal, bytes in and out.

Source: proc_pid_net(5) for ``/proc/net/route``, ``ipv6_route``, ``wireless`` and ``dev``; the kernel's
Documentation/ABI/testing/sysfs-class-net for ``/sys/class/net``.
"""

from __future__ import annotations

from lawow.device.notifier.tree import Missing, Tree, number

__all__ = ["kind", "signal", "traffic"]

NET = "/sys/class/net"
ROUTE, ROUTE6 = "/proc/net/route", "/proc/net/ipv6_route"
WIRELESS, DEVICES = "/proc/net/wireless", "/proc/net/dev"
ARPHRD_ETHER = 1
MODEMS = ("wwan", "rmnet", "ppp", "ccmni")
RECEIVED, SENT = 0, 8  # columns of /proc/net/dev


def kind(tree: Tree) -> tuple[str, str]:
    """Return ``none``, ``wifi``, ``cellular``, ``ethernet`` or ``other``, and what it was taken from."""
    name = _default_device(tree)
    if not name:
        return "none", f"{ROUTE}: no default route"
    folder = f"{NET}/{name}"
    if tree.holds(f"{folder}/wireless") or tree.holds(f"{folder}/phy80211"):
        return "wifi", folder
    if name.startswith(MODEMS):
        return "cellular", folder
    is_ethernet = tree.number(f"{folder}/type", 0, 65_535) == ARPHRD_ETHER
    return ("ethernet" if is_ethernet else "other"), folder


def signal(tree: Tree) -> tuple[float, str]:
    """Return the strongest Wi-Fi signal in dBm, and the file."""
    levels = []
    for line in tree.text(WIRELESS).splitlines()[2:]:
        words = line.split()
        if len(words) > 3:
            levels.append(number(words[3].rstrip("."), WIRELESS, -200, 0))
    if not levels:
        raise Missing(f"{WIRELESS}: no interface there")
    return float(max(levels)), WIRELESS


def traffic(tree: Tree) -> tuple[float, float, str]:
    """Return bytes received and sent by all interfaces but loopback, and the file."""
    received = sent = 0
    for line in tree.text(DEVICES).splitlines()[2:]:
        name, _, counters = line.partition(":")
        words = counters.split()
        if name.strip() == "lo":
            continue
        if len(words) <= SENT:
            raise Missing(f"{DEVICES}: a line has {len(words)} counters, allowed are 9 and more")
        received += number(words[RECEIVED], DEVICES, 0, 2**64)
        sent += number(words[SENT], DEVICES, 0, 2**64)
    return float(received), float(sent), DEVICES


def _default_device(tree: Tree) -> str:
    """Return the interface of the default route with the least metric, IPv4 before IPv6; "" without one."""
    routes = []
    for line in tree.text(ROUTE).splitlines()[1:]:
        words = line.split()  # Iface Destination Gateway Flags RefCnt Use Metric Mask ...
        if len(words) > 7 and words[1] == words[7] == "00000000":
            routes.append((number(words[6], ROUTE, 0, 2**32), _name(words[0], ROUTE)))
    if routes:
        return min(routes)[1]
    return _default_device6(tree)


def _default_device6(tree: Tree) -> str:
    if not tree.holds(ROUTE6):  # a kernel without IPv6
        return ""
    for line in tree.text(ROUTE6).splitlines():
        words = line.split()  # destination, prefix length, ..., interface
        if len(words) > 9 and words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo":
            return _name(words[9], ROUTE6)
    return ""


def _name(text: str, path: str) -> str:
    """Return the name of an interface: it becomes part of a path, and is believed no more than the rest."""
    if "/" in text or text.startswith(".") or len(text) > 15 or not text.isprintable():
        raise Missing(f"{path}: found {text[:40]!r}, which is no interface")
    return text
