"""The headers by which a browser says who asks, to whether this service answers. Pure.

A service without API keys trusts whoever can connect, which is this machine. So does every browser
on it, whose pages come from elsewhere. Such a page is told by its `Origin` or `Sec-Fetch-Site`; one
whose name was pointed at this machine (DNS rebinding) by its `Host`.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus

_MAX_SHOWN_CHARS = 100
# A name or an address, and a port; by RFC 3986, so that no two read it in two ways.
_HOST = re.compile(r"(\[[\w:.%-]+\]|[\w.~%!$&'()*+,;=-]+)(?::[0-9]*)?", re.ASCII)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered."""

    status: HTTPStatus
    detail: str


@dataclass(frozen=True, slots=True)
class WebsitePolicy:
    """Which names a service answers to, and which websites.

    Attributes:
        is_keyless: Whether everybody who connects may call everything.
        hosts: Names besides those of loopback, lower case. With keys every name is answered, unless
            some are given.
        origins: Websites whose pages may ask, such as `https://shop.example`.
    """

    is_keyless: bool = True
    hosts: frozenset[str] = field(default_factory=frozenset)
    origins: frozenset[str] = field(default_factory=frozenset)

    def find_refusal(
        self,
        hosts: Sequence[str],
        origins: Sequence[str],
        site: str | None,
        *,
        is_page: bool,
        needs_host: bool = True,
    ) -> Refusal | None:
        """Return why a request is refused; None: it is answered.

        Args:
            hosts: Its `Host` headers.
            origins: Its `Origin` headers.
            site: Its `Sec-Fetch-Site`, lower case; several, which no browser sends, with commas.
            is_page: Whether a browser opens a page for a person to read, which no other can read.
            needs_host: Whether there must be a `Host`, as in HTTP/1.1.
        """
        malformed = _find_malformed(hosts, needs_host=needs_host)
        if malformed is not None:
            return malformed
        if self.is_keyless or self.hosts:
            for host in hosts:
                if not self._answers_to(host):
                    return self._refuse_host(host)
        if not self.is_keyless:
            return None
        own = {host.lower() for host in hosts}
        for origin in origins:
            if origin not in self.origins and _remove_scheme(origin) not in own:
                return self._refuse_website(f"the website {origin[:_MAX_SHOWN_CHARS]}")
        is_foreign = site is not None and "cross-site" in site and not origins
        return self._refuse_website("another website") if is_foreign and not is_page else None

    def _answers_to(self, host: str) -> bool:
        name = parse_host_name(host)
        return is_loopback_name(name) or name in self.hosts

    def _refuse_host(self, host: str) -> Refusal:
        name = parse_host_name(host)[:_MAX_SHOWN_CHARS]
        why = "without API keys " if self.is_keyless else ""
        return Refusal(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"{why}this service answers to names of this machine, such as localhost, and to those "
            f"given with --allow-host, not to {name!r}; use one of them, or add it",
        )

    def _refuse_website(self, who: str) -> Refusal:
        return Refusal(
            HTTPStatus.FORBIDDEN,
            f"{who} may not use this service, which has no API keys; start it with --allow-origin "
            f"to let its pages ask",
        )


def _find_malformed(hosts: Sequence[str], *, needs_host: bool) -> Refusal | None:
    """Return why the `Host` headers of a request are none of HTTP (RFC 9112, 3.2)."""
    if not hosts and needs_host:
        why = "the request has no Host header"
    elif len(hosts) > 1:  # a proxy before this service may have believed the other one
        why = f"the request has {len(hosts)} Host headers"
    elif hosts and not _HOST.fullmatch(hosts[0].strip(" \t")):
        why = f"the Host header {hosts[0][:_MAX_SHOWN_CHARS]!r} is no name with a port"
    else:
        return None
    return Refusal(HTTPStatus.BAD_REQUEST, f"{why}; send one, such as localhost:8000")


def parse_host_name(host: str) -> str:
    """Return the name in a `Host` header: without port, lower case.

    A header of another form is returned whole: it is the name of nothing.
    """
    whole = host.strip().lower()
    match = _HOST.fullmatch(whole)
    return match[1].removesuffix(".") if match else whole


@lru_cache(maxsize=256)
def is_loopback_name(name: str) -> bool:
    """Whether a name can only mean this machine, whatever a name server says."""
    if name == "localhost":
        return True
    try:
        is_bracketed = name.startswith("[") and name.endswith("]")
        return ipaddress.ip_address(name[1:-1] if is_bracketed else name).is_loopback
    except ValueError:
        return False


def is_origin(text: str) -> bool:
    """Whether a text is what browsers send as `Origin`: scheme and host, with a port at most."""
    scheme, _, rest = text.partition("://")
    has_path = any(sign in rest for sign in "/?#@ *")
    return scheme in _DEFAULT_PORTS and bool(rest) and not has_path and text == text.lower()


def _remove_scheme(origin: str) -> str:
    """Return what a page of an origin sends as `Host`."""
    scheme, _, host = origin.lower().partition("://")
    return host.removesuffix(_DEFAULT_PORTS[scheme]) if scheme in _DEFAULT_PORTS else origin
