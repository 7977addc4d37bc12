"""Draw docs/edge-dashboard.png, the dashboard of an edge under a minute of calls; print `lawow top` of it.

usage: python docs/edge_dashboard.py docs/edge-dashboard.png     from the repository's root, in .venv
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lawow.device.edge_client import EdgeClient  # noqa: E402
from lawow.device.offload_handler import OffloadHandler  # noqa: E402
from lawow.edge.tenants import TokenTerms  # noqa: E402
from lawow.errors import LawowError  # noqa: E402
from tests.conftest import lawow  # noqa: E402
from tests.server.chromium import running_browser  # noqa: E402
from tests.server.running import RunningEdge, issue_token, running_edge  # noqa: E402

SECONDS = 75
SIZE = (1120, 1030)
MODULES = ROOT / "fixtures" / "app" / "src" / "main" / "wasm"
CALLS = {
    "drone-survey": ("fibonacci", "fib", "i>i", [24], 0.02),
    "face-filter": ("matrix", "multiply", "i>d", [120], 0.05),
    "route-planner": ("insertion_sort", "sort", "i>I", [3000], 0.12),
}


def keep_calling(edge: RunningEdge, tenant: str, end: float) -> None:
    """Hold a lease, and call in it in bursts; now and then one that the edge refuses."""
    name, export, signature, arguments, pause = CALLS[tenant]
    dice, wasm = random.Random(tenant), (MODULES / f"{name}.wasm").read_bytes()
    with edge.client(tenant) as client:
        handler = OffloadHandler(client)
        offers = handler.request(wasm, choice="application", requirements={})
        item = handler.select(offers, offers.offers[0])
        handler.request(wasm, choice="provider", requirements={})
        while time.monotonic() < end:
            time.sleep(pause * dice.uniform(0.2, 2) * (1 + (time.monotonic() % 20 > 13)))
            item.call(export, signature.replace("d", "F"), arguments)
            if dice.random() < 0.01:
                refused(client, item.digest)


def refused(client: EdgeClient, digest: str) -> None:
    """Call what is not there."""
    try:
        client.call(digest, "gone", ">i", [])
    except LawowError:
        return


def main(target: str) -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder, running_edge(Path(folder) / "data") as edge:
        token = issue_token(edge.data, "operations", TokenTerms(("read", "admin")))
        for tenant in CALLS:
            edge.token(tenant)
        end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=keep_calling, args=(edge, name, end + 2)) for name in CALLS]
        for thread in threads:
            thread.start()
        with running_browser(Path(folder) / "profile") as browser:
            tab = browser.open(edge.url)
            tab.size(*SIZE)
            tab.type(token)
            time.sleep(max(0.0, end - time.monotonic()))
            Path(target).write_bytes(tab.screenshot())
            print(lawow("top", "--edge", edge.url, "--once", LAWOW_TOKEN=token, COLUMNS="110").stdout)
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
