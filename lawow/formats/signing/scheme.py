"""What APK Signature Scheme v2 and v3 have in common: the nested records of a signer, made and verified.

A scheme's value is a list of signers; a signer holds signed data, signatures over it and the public key.
Every list and every element is prefixed with its size in 32 bits. Source: source.android.com, "APK
Signature Scheme v2" and "v3".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.bytes import ByteReader
from lawow.formats.signing.algorithms import ALGORITHMS, SignatureAlgorithm, verify_signature
from lawow.formats.signing.certificate import read_certificate
from lawow.formats.signing.digest import ApkContent
from lawow.formats.signing.verdict import Issue, IssueKind

__all__ = [
    "SchemeResult",
    "SdkRange",
    "SignedData",
    "Signer",
    "encode_identified",
    "encode_list",
    "encode_prefixed",
    "encode_u32",
    "read_attributes",
    "verify_signer",
    "verify_signers",
]

_MAX_VALUE_BYTES = 1 << 20  # ten signers with chains of ten certificates have 200 KiB
_PREFERENCE = {"CHUNKED_SHA256": 0, "VERITY_CHUNKED_SHA256": 1, "CHUNKED_SHA512": 2}


@dataclass(frozen=True, slots=True)
class SdkRange:
    """API levels, both ends included."""

    minimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum}"


@dataclass(frozen=True, slots=True)
class SignedData:
    """What a signer signs. `digests` are pairs of algorithm and content digest; v2 has no `sdks`."""

    digests: tuple[tuple[int, bytes], ...]
    certificates: tuple[bytes, ...]
    sdks: SdkRange | None
    attributes: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Signer:
    """One signer as it was read, with its signed data still encoded."""

    signed_data: bytes
    sdks: SdkRange | None
    signatures: tuple[tuple[int, bytes], ...]
    public_key: bytes


@dataclass(frozen=True, slots=True)
class SchemeResult:
    """What verifying one scheme found: certificates of the signers that verify, and issues."""

    certificates: tuple[bytes, ...] = ()
    signed: tuple[SignedData, ...] = ()
    issues: tuple[Issue, ...] = ()


def encode_u32(*values: int) -> bytes:
    """Return 32-bit integers one behind the other."""
    return b"".join(value.to_bytes(4, "little") for value in values)


def encode_prefixed(*parts: bytes) -> bytes:
    """Return the parts as one element with its size before it."""
    body = b"".join(parts)
    return encode_u32(len(body)) + body


def encode_list(elements: Sequence[bytes]) -> bytes:
    """Return a list of elements, each with its size, and the list with its own."""
    return encode_prefixed(*(encode_prefixed(element) for element in elements))


def encode_identified(identifier: int, value: bytes) -> bytes:
    """Return an algorithm's id and the digest or signature that it made."""
    return encode_u32(identifier) + encode_prefixed(value)


def verify_signers(
    value: bytes, scheme: int, maximum: int | None, content: ApkContent, *, has_sdks: bool
) -> SchemeResult:
    """Verify all signers of a scheme's value; more than `maximum` are an issue."""
    if len(value) > _MAX_VALUE_BYTES:
        detail = f"it has {len(value)} bytes, allowed are {_MAX_VALUE_BYTES}"
        return SchemeResult(issues=(Issue.of(IssueKind.MALFORMED_SIGNER, scheme, detail=detail),))
    try:
        records = list(_elements(ByteReader(_only(value), structure="signers")))
        if not records or (maximum is not None and len(records) > maximum):
            return SchemeResult(issues=(_wrong_count(scheme, len(records), maximum),))
        signers = [_read_signer(record, has_sdks=has_sdks) for record in records]
    except FormatError as error:
        return SchemeResult(issues=(Issue.of(IssueKind.MALFORMED_SIGNER, scheme, detail=error),))
    results = [verify_signer(signer, scheme, content) for signer in signers]
    certificates = tuple(certificate for result in results for certificate in result.certificates)
    signed = tuple(data for result in results for data in result.signed)
    issues = tuple(issue for result in results for issue in result.issues)
    return SchemeResult(certificates, signed, issues)


def verify_signer(signer: Signer, scheme: int, content: ApkContent) -> SchemeResult:
    """Verify signature, certificate, API levels and content digest of one signer, up to the first issue."""

    def issue(kind: IssueKind, **parameters: object) -> SchemeResult:
        return SchemeResult(issues=(Issue.of(kind, scheme, **parameters),))

    known = [(ALGORITHMS[found], value) for found, value in signer.signatures if found in ALGORITHMS]
    if not known:
        names = ", ".join(f"{found:#06x}" for found, _ in signer.signatures) or "none"
        return issue(IssueKind.NO_SUPPORTED_SIGNATURE, algorithms=names)
    algorithm, signature = max(known, key=lambda pair: _PREFERENCE[pair[0].content_digest])
    if not _is_signed(signer, algorithm, signature):
        return issue(IssueKind.WRONG_SIGNATURE, algorithm=algorithm.name)
    try:
        data = _read_signed_data(signer.signed_data, has_sdks=signer.sdks is not None)
        if not data.certificates:
            return issue(IssueKind.NO_CERTIFICATE)
        certificate_key = read_certificate(data.certificates[0]).public_key
    except FormatError as error:
        return issue(IssueKind.MALFORMED_SIGNER, detail=error)
    if [found for found, _ in data.digests] != [found for found, _ in signer.signatures]:
        return issue(IssueKind.ALGORITHMS_DIFFER)
    if certificate_key != signer.public_key:
        return issue(IssueKind.WRONG_KEY)
    if data.sdks != signer.sdks:
        return issue(IssueKind.SDK_RANGES_DIFFER, signed=data.sdks, unsigned=signer.sdks)
    for identifier, digest in data.digests:
        known_algorithm = ALGORITHMS.get(identifier)
        if known_algorithm and content.digest(known_algorithm.content_digest) != digest:
            return issue(IssueKind.CONTENT_CHANGED, algorithm=known_algorithm.content_digest)
    return SchemeResult(certificates=data.certificates[:1], signed=(data,))


def _is_signed(signer: Signer, algorithm: SignatureAlgorithm, signature: bytes) -> bool:
    return verify_signature(
        signer.public_key,
        algorithm.key_type,
        signature,
        signer.signed_data,
        algorithm.hash_name,
        is_pss=algorithm.is_pss,
    )


def _wrong_count(scheme: int, count: int, maximum: int | None) -> Issue:
    if not count:
        return Issue.of(IssueKind.NO_SIGNER, scheme)
    return Issue.of(IssueKind.TOO_MANY_SIGNERS, scheme, count=count, maximum=maximum)


def _read_signer(record: bytes, *, has_sdks: bool) -> Signer:
    reader = ByteReader(record, structure="signer")
    signed_data = _prefixed(reader)
    sdks = _read_sdks(reader) if has_sdks else None
    signatures = tuple(_identified(_prefixed(reader)))
    return Signer(signed_data, sdks, signatures, _prefixed(reader))


def _read_signed_data(data: bytes, *, has_sdks: bool) -> SignedData:
    reader = ByteReader(data, structure="signed data")
    digests = tuple(_identified(_prefixed(reader)))
    certificates = tuple(_elements(ByteReader(_prefixed(reader), structure="certificates")))
    sdks = _read_sdks(reader) if has_sdks else None
    return SignedData(digests, certificates, sdks, read_attributes(_prefixed(reader)))


def read_attributes(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read the elements of a list of attributes: an id, and a value up to the element's end."""
    return tuple(_with_id(data, lambda reader: reader.read_bytes(reader.remaining)))


def _identified(data: bytes) -> Iterator[tuple[int, bytes]]:
    return _with_id(data, _prefixed)


def _with_id(data: bytes, read_value: Callable[[ByteReader], bytes]) -> Iterator[tuple[int, bytes]]:
    for element in _elements(ByteReader(data, structure="identified values")):
        reader = ByteReader(element, structure="identified value")
        yield reader.read_u32(), read_value(reader)


def _read_sdks(reader: ByteReader) -> SdkRange:
    return SdkRange(reader.read_u32(), reader.read_u32())


def _only(value: bytes) -> bytes:
    return _prefixed(ByteReader(value, structure="signers"))


def _elements(reader: ByteReader) -> Iterator[bytes]:
    while reader.remaining:
        yield _prefixed(reader)


def _prefixed(reader: ByteReader) -> bytes:
    return reader.read_bytes(reader.read_u32())
