"""Every kind of key on every generation of Android, judged by Android's verifier; a thousand tamperings."""

from __future__ import annotations

import random

import pytest

from lawow.errors import KeystoreError
from lawow.formats.signing import SigningKey, resign_apk, sign_apk, verify_apk
from lawow.formats.signing.block import read_signing_block
from lawow.formats.signing.key import make_signing_key
from lawow.formats.zip import ZipEntry, read_zip
from tests.formats.signing.conftest import Judge, certificate_der, make_certificate

MIN_SDKS = (16, 21, 24, 28, 33)
TAMPERINGS = 1_000
PADDING = (0x42726577).to_bytes(4, "little")


def rsa(bits: int) -> object:
    from cryptography.hazmat.primitives.asymmetric import rsa as algorithm

    return algorithm.generate_private_key(public_exponent=65537, key_size=bits)


def p256() -> object:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


KINDS = {
    "rsa-2048": lambda: rsa(2048),
    "rsa-3072": lambda: rsa(3072),
    "rsa-4096": lambda: rsa(4096),
    "ec-p256": p256,
}


@pytest.fixture(scope="module")
def keys() -> dict[str, SigningKey]:
    made = {name: make() for name, make in KINDS.items()}
    return {
        name: make_signing_key(key, [certificate_der(make_certificate(name, key))], name=name)
        for name, key in made.items()
    }


@pytest.mark.parametrize("min_sdk", MIN_SDKS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_key_verifies_on_every_android(
    kind: str, min_sdk: int, keys: dict[str, SigningKey], entries: tuple[ZipEntry, ...], judge: Judge
) -> None:
    if kind == "ec-p256" and min_sdk < 21:
        with pytest.raises(KeystoreError, match="below 21 Android needs RSA"):
            sign_apk(entries, keys[kind], min_sdk=min_sdk)
        return
    apk = sign_apk(entries, keys[kind], min_sdk=min_sdk)
    judgement = judge(apk, min_sdk)
    assert judgement.verifies, judgement
    assert 3 in judgement.schemes  # and the older ones as far as the judge still looks at them
    assert verify_apk(apk, min_sdk=min_sdk).verifies


@pytest.mark.parametrize("min_sdk", [21, 24])
def test_a_thousand_tamperings_are_all_found(
    min_sdk: int, entries: tuple[ZipEntry, ...], rsa_key: SigningKey
) -> None:
    apk = sign_apk(entries, rsa_key, min_sdk=min_sdk)
    view = memoryview(apk)
    block = read_signing_block(view, read_zip(apk).central_directory_offset)
    assert block is not None
    padding = apk.index(PADDING, block.offset)  # its value means nothing to anybody, and is not signed
    unsigned = range(padding - 8, read_zip(apk).central_directory_offset - 24)
    places = [place for place in range(len(apk)) if place not in unsigned]
    rng = random.Random(20261122)
    missed = []
    for _ in range(TAMPERINGS // 2):
        place, bit = rng.choice(places), 1 << rng.randrange(8)
        changed = bytearray(apk)
        changed[place] ^= bit
        if verify_apk(bytes(changed), min_sdk=min_sdk).verifies:
            missed.append((place, bit))
    assert missed == []


def test_signing_anew_what_is_aligned_changes_the_signatures_alone(
    entries: tuple[ZipEntry, ...], rsa_key: SigningKey, keys: dict[str, SigningKey]
) -> None:
    first = sign_apk(entries, rsa_key, min_sdk=24)
    second = resign_apk(first, keys["rsa-2048"], min_sdk=24)
    blocks = [
        read_signing_block(memoryview(apk), read_zip(apk).central_directory_offset) for apk in (first, second)
    ]
    assert all(blocks)
    assert first[: blocks[0].offset] == second[: blocks[1].offset]
    directories = [
        apk[read_zip(apk).central_directory_offset : read_zip(apk).end_offset] for apk in (first, second)
    ]
    assert directories[0] == directories[1]
    assert resign_apk(second, rsa_key, min_sdk=24) == first
