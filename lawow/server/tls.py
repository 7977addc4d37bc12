"""TLS for the edge: reading and making certificates, and the one configuration that is served.

TLS 1.3 is preferred; 1.2 with forward secrecy and AEAD ciphers is accepted because Android before version 10
speaks nothing newer. A *pin* is the SHA-256 of the leaf certificate's DER form, in hex: a device that knows
it needs no certificate authority.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lawow.errors import FormatError, KeystoreError, Refused, UsageError

__all__ = [
    "BACKDATED",
    "LeafCertificate",
    "MadeCertificate",
    "general_name",
    "key_usage",
    "make_certificate",
    "pin_of_pem",
    "read_leaf",
    "server_context",
]

TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
MAX_HOST_CHARACTERS = 253
BACKDATED = datetime.timedelta(hours=1)  # clocks of devices are not exact


@dataclass(frozen=True, slots=True)
class LeafCertificate:
    """What matters of a server's certificate."""

    pin: str
    not_after: datetime.datetime


@dataclass(frozen=True, slots=True)
class MadeCertificate:
    """A self-signed certificate and its key, as PEM."""

    certificate_pem: bytes
    key_pem: bytes
    leaf: LeafCertificate


def read_leaf(path: Path) -> LeafCertificate:
    """Return the first certificate of a PEM file. Raises `FormatError`, `Refused` if it is not in force."""
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except ValueError as error:
        raise FormatError(f"holds no PEM certificate: {error}", file=str(path)) from None
    leaf = _leaf(certificate)
    now = datetime.datetime.now(datetime.UTC)
    if leaf.not_after <= now:
        raise Refused(
            f"{path}: the certificate expired on {leaf.not_after:%Y-%m-%d}; "
            "`lawow certificate` makes a new one, whose pin the devices need"
        )
    if certificate.not_valid_before_utc > now:
        raise Refused(f"{path}: the certificate is not valid before {certificate.not_valid_before_utc}")
    return leaf


def server_context(
    certificate: Path, key: Path, client_ca: Path | None = None, *, requires_client: bool = False
) -> ssl.SSLContext:
    """Return the configuration that is served. Raises `KeystoreError` if certificate and key do not fit.

    With `client_ca`, PEM certificates of authorities, clients are asked for a certificate that one of these
    vouches for; without one they are served only if not `requires_client`. Raises `FormatError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        raise KeystoreError(f"cannot be used with {certificate}: {reason}", file=str(key)) from None
    if client_ca is not None:
        try:
            context.load_verify_locations(cafile=client_ca)
        except ssl.SSLError as error:
            raise FormatError(f"holds no PEM certificates: {error.reason}", file=str(client_ca)) from None
        context.verify_mode = ssl.CERT_REQUIRED if requires_client else ssl.CERT_OPTIONAL
    return context


def make_certificate(hosts: Sequence[str], days: int) -> MadeCertificate:
    """Make an EC P-256 key and a self-signed certificate for DNS names and IP addresses.

    Raises `UsageError` for no host, or one that is neither.
    """
    if not hosts:
        raise UsageError("a certificate needs at least one --host, a DNS name or an IP address")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "LAWOW edge")])
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    # It signs itself, so that the file serves as --ca for clients that check host names.
    usage = key_usage(digital_signature=True, key_cert_sign=True)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return MadeCertificate(certificate.public_bytes(serialization.Encoding.PEM), key_pem, _leaf(certificate))


def key_usage(*, digital_signature: bool, key_cert_sign: bool) -> x509.KeyUsage:
    """Return what a key may be used for, and nothing else."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def pin_of_pem(pem: bytes) -> str:
    """Return the pin of the first certificate in a PEM text."""
    return _leaf(x509.load_pem_x509_certificates(pem)[0]).pin


def general_name(host: str) -> x509.GeneralName:
    """Return an IP address or a DNS name, perhaps with a wildcard. Raises `UsageError` for anything else."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass  # then it is a name
    labels = host.split(".")
    fits = len(host) <= MAX_HOST_CHARACTERS and all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()
        for label in (labels[1:] if labels[0] == "*" else labels)
    )
    if not fits:
        raise UsageError(f"{host!r} is neither an IP address nor a DNS name")
    return x509.DNSName(host)


def _leaf(certificate: x509.Certificate) -> LeafCertificate:
    der = certificate.public_bytes(serialization.Encoding.DER)
    return LeafCertificate(hashlib.sha256(der).hexdigest(), certificate.not_valid_after_utc)


def _no_password() -> str:
    """Stand in for a prompt: a server must not wait for somebody at a terminal."""
    raise KeystoreError("the key is encrypted; give `lawow serve` one without a password, mode 0600")
