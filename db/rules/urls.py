"""Whether a text is a URL, as browsers parse it (https://url.spec.whatwg.org/), without a base.

Python's `urlsplit` takes almost any text; a link must open in a browser.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote

_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_WEB_SCHEMES = frozenset({"http", "https", "ws", "wss", "ftp"})
_NOT_IN_HOST = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|]")
_NOT_IN_DOMAIN = re.compile(r"[\x00-\x20\x7f\ufffd#%/:<>?@\[\\\]^|]")
_PORT = re.compile(r"(.*):([0-9]*)", re.DOTALL)
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_MAX_PORT = 65_535


def scheme_of(text: str) -> str | None:
    """The scheme of a URL in lower case (`https`, `mailto`, ...); None where `text` does not parse as a URL."""
    match = _SCHEME.fullmatch(text.strip(_C0_AND_SPACE).translate(_REMOVED))
    if match is None:
        return None
    scheme, rest = match[1].lower(), match[2]
    return scheme if _has_good_authority(scheme, rest) else None


def _has_good_authority(scheme: str, rest: str) -> bool:
    if scheme in _WEB_SCHEMES:
        authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
        host = _host_of(authority)
        return host is not None and _is_web_host(host)
    if scheme == "file" or not rest.startswith("//"):
        return True
    authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
    host = _host_of(authority)
    if host == "":
        return authority == ""
    return host is not None and _is_opaque_host(host)


def _host_of(authority: str) -> str | None:
    """The host of `user:password@host:port`; None where the port is none."""
    host = authority.rpartition("@")[2]
    match = None if host.endswith("]") else _PORT.fullmatch(host)
    if match is None:
        return host
    port = match[2].lstrip("0")
    return match[1] if len(port) <= len(str(_MAX_PORT)) and int(port or "0") <= _MAX_PORT else None


def _is_opaque_host(host: str) -> bool:
    return _is_ipv6(host) if host.startswith("[") else _NOT_IN_HOST.search(host) is None


def _is_web_host(host: str) -> bool:
    if host.startswith("["):
        return _is_ipv6(host)
    domain = unquote(host)
    if not domain or _NOT_IN_DOMAIN.search(domain):
        return False
    labels = domain.removesuffix(".").split(".")
    return not _NUMBER.fullmatch(labels[-1]) or _is_ipv4(labels)


def _is_ipv4(labels: list[str]) -> bool:
    """One to four numbers, decimal, octal (`010`) or hexadecimal (`0x10`); the last fills the bytes that are left."""
    if len(labels) > 4 or not all(_NUMBER.fullmatch(label) for label in labels):  # noqa: PLR2004 - bytes of an address
        return False
    numbers = [_ipv4_number(label) for label in labels]
    last = numbers.pop()
    return last is not None and last < 256 ** (4 - len(numbers)) and all(n is not None and n < 256 for n in numbers)  # noqa: PLR2004


def _ipv4_number(label: str) -> int | None:
    base = 16 if label[:2] in {"0x", "0X"} else 8 if label.startswith("0") and len(label) > 1 else 10
    digits = label[2:] if base == 16 else label  # noqa: PLR2004
    try:
        return int(digits or "0", base)
    except ValueError:
        return None


def _is_ipv6(host: str) -> bool:
    if not host.endswith("]") or "%" in host:
        return False
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True
