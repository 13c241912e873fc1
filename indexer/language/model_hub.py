"""Whether the hub that models are downloaded from can be reached.

The libraries that download try again for minutes before they say that it cannot.
"""

import threading
import urllib.request
from urllib.error import HTTPError

_PATIENCE_S = 8.0


def find_hub() -> str:
    """Return the address of the hub."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def reaches_hub(patience_s: float = _PATIENCE_S) -> bool:
    """Whether the hub answers anything within so many seconds; not if the user forbids to ask."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answers: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(find_hub(), method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=patience_s).close()
        except HTTPError:
            answers.append(True)
        except (OSError, ValueError):  # no network, or no address
            answers.append(False)
        else:
            answers.append(True)

    # The time limit of a request does not hold for the name of its host.
    asking = threading.Thread(target=ask, name="ask-hub", daemon=True)
    asking.start()
    asking.join(patience_s)
    return answers == [True]
