"""DER: what is encoded is read back, and nothing else is accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.signing import der
from lawow.formats.signing.certificate import read_certificate
from tests.formats.signing.conftest import certificate_der, make_certificate


@given(st.sampled_from([der.SEQUENCE, der.OCTET_STRING, der.explicit(3)]), st.integers(0, 70_000))
def test_elements_of_every_length_come_back(tag: int, size: int) -> None:
    encoded = der.encode(tag, b"x" * size)
    element = der.read_one(encoded)
    assert (element.tag, len(element.body), element.encoding) == (tag, size, encoded)


@given(st.integers(0, 2**200))
def test_integers_come_back_positive(value: int) -> None:
    body = der.read_one(der.encode_integer(value)).body
    assert int.from_bytes(body, "big", signed=True) == value


@given(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**60), max_size=4))
def test_object_identifiers_come_back(first: int, second: int, others: list[int]) -> None:
    dotted = ".".join(map(str, (first, second, *others)))
    assert der.read_one(der.encode_oid(dotted)).oid() == dotted


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "exactly one element"),
        (b"\x05\x00\x05\x00", "exactly one element"),
        (b"\x30", "cut off tag"),
        (b"\x1f\x81\x01\x00", "unknown or cut off tag"),
        (b"\x30\x80\x00\x00", "length that DER does not allow"),
        (b"\x30\x85\x00\x00\x00\x00\x01", "length that DER does not allow"),
        (b"\x30\x05\x00", "ends outside"),
        (b"\x30\x84\xff\xff\xff\xff", "ends outside"),
        (b"\x30\x82\x01", "ends outside"),
    ],
)
def test_other_encodings_are_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        der.read_one(data)


@pytest.mark.parametrize("body", [b"", b"\x80", b"\x2a\x86", b"\x01" * 65])
def test_what_is_no_object_identifier_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError, match="not an object identifier"):
        der.read_one(der.encode(der.OBJECT_IDENTIFIER, body)).oid()


def test_a_part_that_is_missing_or_of_another_type_is_refused() -> None:
    pair = der.read_one(der.encode(der.SEQUENCE, der.encode_integer(1)))
    with pytest.raises(FormatError, match="too few parts"):
        pair.child(1, der.INTEGER)
    with pytest.raises(FormatError, match="another type"):
        pair.child(0, der.SEQUENCE)


@given(st.binary(max_size=100))
def test_random_bytes_raise_nothing_but_format_errors(data: bytes) -> None:
    for read in (der.read_all, read_certificate):
        try:
            read(data)
        except FormatError:
            continue


def test_a_certificate_s_fields_are_those_that_cryptography_reads() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key, issuer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    certificate = make_certificate("app", key, "issuer", issuer)
    read = read_certificate(certificate_der(certificate))
    assert read.issuer == certificate.issuer.public_bytes()
    assert read.subject == certificate.subject.public_bytes()
    assert read.serial_number == der.encode_integer(certificate.serial_number)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert read.public_key == spki


def test_a_certificate_cut_off_anywhere_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    data = certificate_der(make_certificate("app", ec.generate_private_key(ec.SECP256R1())))
    for size in range(len(data)):
        with pytest.raises(FormatError):
            read_certificate(data[:size])
