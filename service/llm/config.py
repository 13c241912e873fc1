"""The variables ZHIYIN_LLM_URL, _MODEL and _KEY to the endpoint of a language model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from service.settings import SettingsError
from service.websites import is_loopback_name

URL_VARIABLE = "ZHIYIN_LLM_URL"
MODEL_VARIABLE = "ZHIYIN_LLM_MODEL"
KEY_VARIABLE = "ZHIYIN_LLM_KEY"
NO_ENDPOINT = f"no language model is configured; set {URL_VARIABLE}"
_PATH = "/chat/completions"


@dataclass(frozen=True, slots=True)
class LlmConfig:
    """An OpenAI-compatible endpoint. The key appears in no log and no message.

    Attributes:
        url: Up to and including `/v1`.
        model: Its name at the endpoint.
        key: Sent as a bearer token; None: no Authorization header.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """Return the endpoint that the variables name; None if there is no URL.

        Raises:
            SettingsError: If the URL is not HTTP, or holds a user, a password or a query.
        """
        raw_url = environment.get(URL_VARIABLE, "").strip()
        if not raw_url:
            return None
        url = raw_url.rstrip("/").removesuffix(_PATH)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                f"{URL_VARIABLE} is {raw_url[:60]!r}; give an address such as "
                f"https://api.openai.com/v1"
            )
        if parts.username or parts.password or parts.query:
            raise SettingsError(f"{URL_VARIABLE} holds more than an address; put the key into "
                                f"{KEY_VARIABLE}")  # fmt: skip
        key = environment.get(KEY_VARIABLE, "").strip() or None
        return cls(url, environment.get(MODEL_VARIABLE, "").strip() or "default", key)

    @property
    def completions_url(self) -> str:
        """URL of chat completions."""
        return self.url + _PATH

    @property
    def is_local(self) -> bool:
        """Whether the endpoint is on this machine, so that proxies must not be used."""
        return is_loopback_name(urlsplit(self.url).hostname or "")
