"""What breaks, or may break, on a phone: read from this app's manifest, files and code, told with reasons.

Only what applies is told. Most of it follows from a new signing key: Android knows an app by package
name and certificate, so with another certificate it is another app to permissions, to other apps of the
same maker and to services that were told the old certificate's digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.apk import MANIFEST, RUNTIME_LIBRARY, AppPackage
from lawow.formats.axml.document import Document, Element, ValueType
from lawow.formats.dex.search import Use, type_ids
from lawow.refactor.code_index import CodeIndex
from lawow.refactor.edge_properties import DEFAULT_EDGE, PATH, EdgeProperties
from lawow.refactor.rules import java_name

__all__ = ["Advice", "advise"]

_NAME, _VALUE, _PROTECTION_LEVEL = 0x01010003, 0x01010024, 0x01010009
_SHARED_USER_ID, _NETWORK_SECURITY_CONFIG, _CLEARTEXT = 0x0101000B, 0x01010527, 0x010104EC
_SIGNATURE = 0x02
"""android.content.pm.PermissionInfo: PROTECTION_SIGNATURE, in the low four bits."""
FIRST_WITHOUT_CLEARTEXT = 28

# Meta-data names, or parts of them, whose services know the app by its certificate.
_BOUND_KEYS = {
    "com.google.android.geo.API_KEY": "Google Maps",
    "com.google.android.maps.v2.API_KEY": "Google Maps",
    "com.google.android.nearby.messages.API_KEY": "Google Nearby",
    "com.google.android.backup.api_key": "Android Backup Service",
    "com.google.android.gms.games.APP_ID": "Play Games",
    "com.facebook.sdk.ApplicationId": "Facebook Login, by the key hash",
    "com.amap.api.v2.apikey": "AMap",
    "com.baidu.lbsapi.API_KEY": "Baidu Maps",
    "TencentMapSDK": "Tencent Map",
    "com.huawei.hms.client.appid": "Huawei Mobile Services",
}
_INTEGRITY_TYPES = {
    "Lcom/google/android/play/core/integrity/IntegrityManagerFactory;": "Play Integrity",
    "Lcom/google/android/gms/safetynet/SafetyNet;": "SafetyNet",
    "Lcom/google/android/vending/licensing/LicenseChecker;": "Play licensing",
    "Lcom/google/firebase/appcheck/FirebaseAppCheck;": "Firebase App Check",
}
_SIGNATURE_TYPES = {"Landroid/content/pm/Signature;", "Landroid/content/pm/SigningInfo;"}
_LOOKS_AT_OTHERS = ("Landroidx/", "Landroid/support/", "Lcom/google/android/gms/", "Ldev/lawow/")
"""Libraries that check the certificates of other apps: fonts from Play services, for example."""
_SIGN_IN_TYPES = {
    "Lcom/google/android/gms/auth/api/signin/GoogleSignInClient;": "Google Sign-In",
    "Lcom/google/firebase/auth/FirebaseAuth;": "Firebase Authentication",
}
_LIBRARY = re.compile(r"lib/([^/]+)/([^/]+\.so)")
_64_BIT = {"arm64-v8a", "x86_64", "riscv64", "mips64"}


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to know. `topic` is stable (``shared-user-id``); `because` says what in this app shows it."""

    topic: str
    text: str
    because: str

    def __str__(self) -> str:
        return f"{self.text} ({self.because})"


@dataclass(frozen=True, slots=True)
class _Facts:
    app: AppPackage
    root: Element
    document: Document
    elements: tuple[tuple[int, Element], ...]

    def named(self, name: str) -> Iterator[Element]:
        return (element for _, element in self.elements if element.is_named(name))

    def text(self, element: Element, resource_id: int) -> str:
        attribute = element.attribute(resource_id)
        if attribute is None or attribute.value_type != ValueType.STRING:
            return ""
        return self.document.pool.text(attribute.data)

    def number(self, element: Element, resource_id: int) -> int | None:
        attribute = element.attribute(resource_id)
        return None if attribute is None or attribute.value_type == ValueType.STRING else attribute.data


def advise(
    app: AppPackage, *, same_key: bool | None, edge: EdgeProperties | None = None, calls_edge: bool = True
) -> tuple[Advice, ...]:
    """Return what a developer should know before the slim APK goes to a phone.

    `same_key` says whether it is signed with the original's key; None while that is open. `calls_edge` says
    whether anything in it will. Raises `FormatError` for a damaged manifest or dex file.
    """
    facts = _read(app)
    advice: list[Advice] = []
    if same_key is not True:
        condition = "" if same_key is False else "unless you sign with the original's key: "
        advice += _new_key(facts, condition)
    if calls_edge:
        advice += _network(facts, edge)
    advice += _libraries(app)
    return tuple(advice)


def _read(app: AppPackage) -> _Facts:
    try:
        document = Document(app.archive.by_name[MANIFEST].read())
        elements = tuple(document.elements())
    except FormatError as error:
        raise error.within(MANIFEST.decode()).within(app.name) from None
    return _Facts(app, elements[0][1], document, elements)


def _new_key(facts: _Facts, condition: str) -> Iterator[Advice]:
    yield Advice(
        "update",
        f"{condition}the slim APK has another signing key than the original, so Android does not install it"
        " over the original: uninstall that first, its data goes with it",
        "an update must have the certificate of what is installed",
    )
    if shared := facts.text(facts.root, _SHARED_USER_ID):
        yield Advice(
            "shared-user-id",
            f"{condition}Android refuses the app beside the others of the user id {shared}, which have the"
            " old certificate",
            "android:sharedUserId in the manifest",
        )
    yield from _permissions(facts, condition)
    yield from _services(facts, condition)


def _permissions(facts: _Facts, condition: str) -> Iterator[Advice]:
    own = []
    for element in facts.named("permission"):
        level = facts.number(element, _PROTECTION_LEVEL)
        if level is not None and level & 0xF == _SIGNATURE:
            own.append(facts.text(element, _NAME))
    # AndroidX declares this one for receivers of the app itself; app and permission share one certificate.
    own = [name for name in own if name and not name.endswith(".DYNAMIC_RECEIVER_NOT_EXPORTED_PERMISSION")]
    if own:
        yield Advice(
            "signature-permission",
            f"{condition}other apps of yours lose {_listed(own)} until they are signed with the new key too",
            "protectionLevel signature in the manifest",
        )
    package = facts.app.manifest.package
    foreign = [
        name
        for name in facts.app.manifest.permissions
        if not name.startswith(("android.permission.", "com.android.", "com.google.android.", package))
    ]
    if foreign:
        yield Advice(
            "foreign-permission",
            f"{condition}{_listed(foreign)} may be refused, if the app that declares it grants it by"
            " certificate",
            "uses-permission of another app in the manifest",
        )


def _services(facts: _Facts, condition: str) -> Iterator[Advice]:
    for element in facts.named("meta-data"):
        name = facts.text(element, _NAME)
        if service := _BOUND_KEYS.get(name):
            yield Advice(
                "api-key",
                f"{condition}the key for {service} stops working if it is bound to the certificate: add the"
                " new certificate's fingerprint where the key is managed",
                f"meta-data {name}",
            )
    for service in _present(facts.app, _INTEGRITY_TYPES):
        yield Advice(
            "integrity",
            f"{condition}{service} reports an app that is not the published one; tell its server of the new"
            " certificate, or do not rely on it in this build",
            f"the code uses {service}",
        )
    for service in _present(facts.app, _SIGN_IN_TYPES):
        yield Advice(
            "sign-in",
            f"{condition}{service} knows the app by package and certificate: register the new fingerprint",
            f"the code uses {service}",
        )
    if place := _own_check(facts.app):
        yield Advice(
            "own-check",
            f"{condition}the app, or a library in it, may compare its own certificate and refuse to run",
            f"{place} reads certificates of packages",
        )


def _present(app: AppPackage, types: dict[str, str]) -> Iterable[str]:
    """Return the services whose classes some dex file names."""
    found = {}
    for item in app.dexes:
        found.update({item.dex.type(index): True for index in type_ids(item.dex, types.keys())})
    return [service for descriptor, service in types.items() if descriptor in found]


def _own_check(app: AppPackage) -> str:
    """Return a method outside of Google's libraries that handles certificates of packages, or nothing."""
    if not any(type_ids(item.dex, _SIGNATURE_TYPES) for item in app.dexes):
        return ""
    use = CodeIndex(app).first_use_of_classes(_SIGNATURE_TYPES, _is_own)
    return "" if use is None else f"{java_name(use.method.owner.descriptor)}.{use.method.name}"


def _is_own(use: Use) -> bool:
    return not use.method.owner.descriptor.startswith(_LOOKS_AT_OTHERS)


def _network(facts: _Facts, edge: EdgeProperties | None) -> Iterator[Advice]:
    if edge is None and PATH.encode() not in facts.app.archive.by_name:
        yield Advice(
            "edge-address",
            f"the app looks for its edge at {DEFAULT_EDGE}, the device itself (adb reverse)",
            "no --edge was given",
        )
    if edge is not None and edge.token is not None:
        yield Advice(
            "token",
            "the token lies in the APK: whoever has the APK can read it; use one that may do no more than"
            " this app",
            "--token-file was given",
        )
    if edge is None or not edge.is_plain:
        return
    application = next(facts.named("application"), None)
    if application is None or facts.app.manifest.target_sdk < FIRST_WITHOUT_CLEARTEXT:
        return
    if application.attribute(_NETWORK_SECURITY_CONFIG) is not None:
        yield Advice(
            "clear-text",
            "the app's own network security configuration decides whether plain http is allowed;"
            f" it must allow {edge.edge}",
            "android:networkSecurityConfig in the manifest",
        )
    elif not facts.number(application, _CLEARTEXT):
        yield Advice(
            "clear-text",
            "Android blocks plain http for this app; give an https edge, or allow clear text in the app",
            f"targetSdkVersion {facts.app.manifest.target_sdk} and no usesCleartextTraffic",
        )


def _libraries(app: AppPackage) -> Iterator[Advice]:
    """Tell of libraries that keep the app in 32 bits: the stub needs none, the phone may need 64."""
    by_abi: dict[str, list[str]] = {}
    for entry in app.archive.entries:
        match = _LIBRARY.fullmatch(entry.path)
        if match and not RUNTIME_LIBRARY.fullmatch(entry.path):
            by_abi.setdefault(match[1], []).append(match[2])
    if by_abi and not _64_BIT & by_abi.keys():
        names = sorted({name for listed in by_abi.values() for name in listed})
        yield Advice(
            "32-bit",
            f"{_listed(names)} has no 64-bit version: the app does not install on phones with 64 bits only",
            f"libraries for {', '.join(sorted(by_abi))} alone",
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
