"""The settings of one service, to and from the JSON that worker processes get from their parent."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from indexer.errors import IndexerError
from service.websites import WebsitePolicy, is_loopback_name, is_origin, parse_host_name


class SettingsError(IndexerError, ValueError):
    """The service cannot run with these settings."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one service.

    Attributes:
        index: Index directory.
        host: Address to listen on; anything but loopback needs an `api_key_file`.
        port: TCP port; 0 picks a free one.
        workers: Processes; each loads an encoder of its own.
        api_key_file: See `service.edge.api_keys`; None: every client may call everything.
        allow_hosts: Names in `Host` that are answered besides those of loopback.
        allow_origins: Websites whose pages may ask, such as `https://shop.example`.
        db: SQLAlchemy URL of the live store; None: `live.sqlite` in the index directory, or none if
            that cannot be written.
        scenarios: TOML file of scenarios; None: `scenarios.toml` in the index directory, if any.
        secret_file: Holds the secret of `service.edge.secret`, created if missing; None: a default
            place.
        cursor_lifetime_s: An older cursor has expired.
        threads: Requests answered at the same time, in each process.
        queue: Requests that may wait for a thread, and as many more for their texts to be encoded;
            one more is refused with 503.
        write_queue: The same for writes, which one thread does in turn.
        deadline_s: A request that takes longer is answered 503.
        batch_deadline_s: The same for a batch.
        patience_s: A client that takes longer to send a request, or read its answer, is cut off.
        slow_clients: Connections that a process may wait for; of more, the slowest are cut off.
        poll_s: How often to look for a new snapshot, and for changed items.
        retry_s: How long not to retry a snapshot that could not be opened.
    """

    index: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    api_key_file: Path | None = None
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    db: str | None = None
    scenarios: Path | None = None
    secret_file: Path | None = None
    cursor_lifetime_s: float = 3_600
    threads: int = 4
    queue: int = 64
    write_queue: int = 256
    deadline_s: float = 10
    batch_deadline_s: float = 120
    patience_s: float = 15
    slow_clients: int = 512
    poll_s: float = 1
    retry_s: float = 10

    def to_json(self) -> str:
        """Return JSON that `from_json` turns back into equal settings."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the settings in the JSON of `to_json`."""
        raw = json.loads(text)
        for name in ("index", "api_key_file", "scenarios", "secret_file"):
            raw[name] = None if raw[name] is None else Path(raw[name])
        for name in ("allow_hosts", "allow_origins"):
            raw[name] = tuple(raw[name])
        return cls(**raw)

    def check_exposure(self) -> None:
        """Refuse to be reachable from other machines without API keys.

        Raises:
            SettingsError: If the host is not loopback and there is no key file.
        """
        if self.api_key_file is None and not is_loopback_name(self.host):
            raise SettingsError(
                f"host {self.host} can be reached from other machines; give --api-key-file, "
                f"or listen on 127.0.0.1"
            )

    def build_website_policy(self) -> WebsitePolicy:
        """Return which names are answered to, and which websites.

        Raises:
            SettingsError: If an origin is not what browsers send.
        """
        for origin in self.allow_origins:
            if not is_origin(origin):
                raise SettingsError(
                    f"--allow-origin {origin} is no origin; give scheme and host in lower case, "
                    f"such as https://shop.example or http://localhost:3000"
                )
        return WebsitePolicy(
            is_keyless=self.api_key_file is None,
            hosts=frozenset(map(parse_host_name, self._list_hosts())),
            origins=frozenset(self.allow_origins),
        )

    def _list_hosts(self) -> tuple[str, ...]:
        hosts = self.allow_hosts if self.api_key_file else (*self.allow_hosts, self.host)
        return tuple(_add_brackets(host) for host in hosts)


def _add_brackets(host: str) -> str:
    """Return a host as the header of that name has it: an IPv6 address in brackets."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
