"""A certificate authority for development and small sites: its key lies in a folder of the operator's.

The authority may sign for the hosts that it was made for, for loopback, and for tenants' names
(`lawow.server.client_certificates`), and for nothing else: name constraints of RFC 5280, which every TLS
library checks. Certificates live 90 days at most, and never longer than the authority. Keys are EC P-256 in
files of mode 0600; there is no password, so whoever reads the folder can sign. For more than that, take an
authority with hardware behind it: ``--client-ca`` takes any.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lawow.durable import replace_all
from lawow.errors import FormatError, KeystoreError, Refused, UsageError
from lawow.server.client_certificates import URI_HOST
from lawow.server.tls import BACKDATED, general_name, key_usage

__all__ = ["MAX_LEAF_DAYS", "Authority", "Issued", "init_authority"]

AUTHORITY_DAYS = 365
MAX_LEAF_DAYS = 90
LOOPBACK = ("localhost", "127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that an authority signed; `serial` in hex, `names` as they stand in it."""

    serial: str
    names: tuple[str, ...]
    not_after: datetime.datetime
    certificate_pem: bytes


def init_authority(folder: Path, hosts: Sequence[str], days: int = AUTHORITY_DAYS) -> Issued:
    """Make an authority for `hosts` and loopback in `folder`. Raises `Refused` if there is one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "LAWOW development authority")])
    builder = (
        _builder(key.public_key(), name, days)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(digital_signature=False, key_cert_sign=True), critical=True)
        .add_extension(x509.NameConstraints(_permitted(hosts), None), critical=True)
    )
    certificate = builder.sign(key, hashes.SHA256())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "issued").mkdir(mode=0o700, exist_ok=True)
    files = [(folder / "ca.key", _private_pem(key)), (folder / "ca.crt", _public_pem(certificate))]
    try:
        replace_all(files, mode=0o600, overwrite=False)
    except FileExistsError:
        raise Refused(f"{folder} holds an authority already; take another folder") from None
    return _issued(certificate)


class Authority:
    """An authority that was made before. Raises `KeystoreError` if its files cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "ca.key").is_file():
            raise UsageError(f"{folder} holds no authority; `lawow certs init --ca {folder}` makes one")
        if (folder / "ca.key").stat().st_mode & 0o077:
            raise Refused(f"{folder / 'ca.key'}: others can read it; chmod 600, or make a new authority")
        try:
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
            self._certificate = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeystoreError(f"holds no usable key: {error}", file=str(folder)) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise KeystoreError("holds no EC key", file=str(folder / "ca.key"))
        self._key = key

    def issue_server(self, out: Path, hosts: Sequence[str], days: int) -> Issued:
        """Write edge.key and edge.crt for hosts. Raises `UsageError` for hosts beyond the authority."""
        names = [general_name(host) for host in hosts]
        constraints = self._certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        for name, host in zip(names, hosts, strict=True):
            if not any(_covers(item, name) for item in constraints.permitted_subtrees or ()):
                raise UsageError(f"this authority is not for {host}; `certs init --host {host}` makes one")
        return self._issue(out, "edge", "LAWOW edge", names, ExtendedKeyUsageOID.SERVER_AUTH, days)

    def issue_client(self, out: Path, tenant: str, uri: str, days: int) -> Issued:
        """Write client.key and client.crt for a tenant under the name `uri`."""
        names = [x509.UniformResourceIdentifier(uri)]
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return self._issue(out, "client", f"tenant {tenant}"[:64], names, usage, days)

    def issued(self) -> list[Issued]:
        """Return what this authority signed, oldest first. Raises `FormatError` for a damaged file."""
        found = []
        for path in sorted((self._folder / "issued").glob("*.crt")):
            try:
                certificate = x509.load_pem_x509_certificate(path.read_bytes())
            except ValueError as error:
                raise FormatError(f"holds no PEM certificate: {error}", file=str(path)) from None
            found.append((certificate.not_valid_before_utc, _issued(certificate)))
        return [item for _, item in sorted(found, key=lambda pair: (pair[0], pair[1].serial))]

    def _issue(
        self,
        out: Path,
        stem: str,
        common_name: str,
        names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        days: int,
    ) -> Issued:
        if not 1 <= days <= MAX_LEAF_DAYS:
            raise UsageError(f"{days} days: this authority signs for 1 to {MAX_LEAF_DAYS}")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        latest = self._certificate.not_valid_after_utc
        authority = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(key.public_key(), subject, days, latest)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(digital_signature=True, key_cert_sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False
            )
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        issued = _issued(certificate)
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = [
            (out / f"{stem}.key", _private_pem(key)),
            (out / f"{stem}.crt", issued.certificate_pem),
            (self._folder / "issued" / f"{issued.serial}.crt", issued.certificate_pem),
        ]
        try:
            replace_all(files, mode=0o600, overwrite=False)
        except FileExistsError:
            raise Refused(f"{out} holds {stem}.crt or {stem}.key already; take another folder") from None
        return issued


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PKCS #8 without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    public: ec.EllipticCurvePublicKey,
    subject: x509.Name,
    days: int,
    latest: datetime.datetime | None = None,
) -> x509.CertificateBuilder:
    """Begin a certificate that is in force now, for `days` or until `latest`."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    end = now + datetime.timedelta(days=days)
    if latest is not None and latest <= now:
        raise Refused(f"the authority expired on {latest:%Y-%m-%d}; make a new one with `lawow certs init`")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end if latest is None else min(end, latest))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _permitted(hosts: Sequence[str]) -> list[x509.GeneralName]:
    """Return what the authority may sign for: each kind of name is there, so that none is without bounds."""
    permitted: list[x509.GeneralName] = [x509.UniformResourceIdentifier(URI_HOST)]
    for text in (*LOOPBACK, *hosts):
        try:
            permitted.append(x509.IPAddress(ipaddress.ip_network(text)))
        except ValueError:
            permitted.append(general_name(text))
    return permitted


def _covers(permitted: x509.GeneralName, name: x509.GeneralName) -> bool:
    """Tell whether a permitted subtree of RFC 5280, 4.2.1.10 covers a DNS name or an IP address."""
    if isinstance(permitted, x509.DNSName) and isinstance(name, x509.DNSName):
        return name.value == permitted.value or name.value.endswith(f".{permitted.value}")
    if isinstance(permitted, x509.IPAddress) and isinstance(name, x509.IPAddress):
        network, address = permitted.value, name.value
        return (
            isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network)
            and isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
            and address in network
        )
    return False


def _issued(certificate: x509.Certificate) -> Issued:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = tuple(str(name.value) for name in extension.value)
    except x509.ExtensionNotFound:
        names = ()
    return Issued(
        f"{certificate.serial_number:x}", names, certificate.not_valid_after_utc, _public_pem(certificate)
    )
