"""``python -m fuzz.run TARGET SECONDS``: damage the seeds of one parser and watch what it raises.

Uses Atheris, which is guided by coverage, where it is installed (``pip install atheris``); otherwise our own
mutator, which is not. An input that breaks the invariant is left in ``build/fuzz``, and the status is not 0.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import random
import resource
import sys
import time
from pathlib import Path

__all__ = ["MAX_SECONDS", "damage", "main"]

FOUND = Path(__file__).resolve().parent.parent / "build" / "fuzz"
MAX_SECONDS = 5.0  # of processor time for one input; all are smaller than 64 KiB
MAX_BYTES = 64 << 10
MEMORY_BYTES = 2 << 30
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damage(seed: bytes, chance: random.Random) -> bytes:
    """Return the seed with one to eight faults: bytes, numbers set to extremes, pieces cut, copied, added."""
    out = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        place = chance.randrange(len(out) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            out[place : place + 1] = bytes((chance.randrange(256),))
        elif kind <= 2:
            width = chance.choice((1, 2, 4))
            number = chance.choice((*EXTREMES, len(seed), len(seed) - 1, place))
            out[place : place + width] = (number & (1 << 8 * width) - 1).to_bytes(width, "little")
        elif kind == 3:
            del out[place : place + chance.choice((1, 4, 32, len(seed)))]
        elif kind == 4:
            source = chance.randrange(len(seed) + 1)
            piece = seed[source : source + chance.choice((1, 4, 32, 256))]
            out[place : place + len(piece)] = piece
        else:
            out[place:place] = chance.randbytes(chance.choice((1, 4, 16)))
    return bytes(out[:MAX_BYTES])


def main() -> None:
    """Fuzz one target until the time is up."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    FOUND.mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("atheris"):
        _guided(name, seconds)
    else:
        _blind(name, seconds)


def _guided(name: str, seconds: float) -> None:
    atheris = importlib.import_module("atheris")

    with atheris.instrument_imports(include=["lawow"]):
        from fuzz.targets import TARGETS

    corpus = FOUND / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [f"-max_total_time={int(seconds)}", f"-timeout={MAX_SECONDS:.0f}", f"-max_len={MAX_BYTES}"]
    options += [
        f"-rss_limit_mb={MEMORY_BYTES >> 20}",
        f"-artifact_prefix={FOUND}/{name}-",
        "-print_final_stats=1",
    ]
    atheris.Setup([name, *options, str(corpus)], TARGETS[name].feed)
    atheris.Fuzz()


def _blind(name: str, seconds: float) -> None:
    from fuzz.targets import TARGETS

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    target = TARGETS[name]
    seeds = target.seeds()
    chance = random.Random()
    end = time.monotonic() + seconds
    runs = 0
    while time.monotonic() < end:
        data = damage(chance.choice(seeds), chance)
        started = time.process_time()
        try:
            target.feed(data)
            if time.process_time() - started > MAX_SECONDS:
                raise TimeoutError(f"{time.process_time() - started:.1f} s for {len(data)} bytes")
        except BaseException:
            path = FOUND / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
            path.write_bytes(data)
            print(f"{name}: found {path}", file=sys.stderr)
            raise
        runs += 1
    print(f"{name}: {runs} inputs, no escape")


if __name__ == "__main__":
    main()
