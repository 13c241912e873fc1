"""Names of peers to peers, or to why they cannot be measured."""

from collections.abc import Collection
from importlib.util import find_spec

from indexer.errors import RequestError
from indexer.evaluation.peers.ials import Ials
from indexer.evaluation.peers.item_item import Ease, ItemKnn
from indexer.evaluation.peers.popularity import POPULAR, POPULAR_RECENT, OwnItems
from indexer.evaluation.peers.protocol import Peer
from indexer.evaluation.peers.sasrec import SasRec
from indexer.evaluation.peers.text_mean import TEXT_MEAN, TEXT_TUNED

TEXT_EASE = "text_ease"  # built from the tuned parameters of `text_tuned` and `ease_decay`
FAST_PEERS = (
    "popular", "popular_recent", "own_items", "itemknn_decay", "ease_decay", "text_mean",
    "text_tuned", TEXT_EASE, "ials",
)  # fmt: skip
PEER_NAMES = (*FAST_PEERS, "sasrec")
_REQUIRED_PACKAGES = {"ials": "implicit", "sasrec": "torch"}


def parse_peer_names(text: str) -> tuple[str, ...]:
    """Parse "fast", "all" or names separated by commas.

    Raises:
        RequestError: If a name is not known.
    """
    if text in ("fast", "all"):
        return FAST_PEERS if text == "fast" else PEER_NAMES
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in PEER_NAMES:
            raise RequestError(f"no peer {name!r}; known are {', '.join(PEER_NAMES)}, fast and all")
    return names


def explain_unavailable(name: str, *, repeats: bool) -> str:
    """Return why a peer cannot be measured; "" if it can.

    Args:
        name: Of the peer.
        repeats: Whether items of the history may be the answer.
    """
    package = _REQUIRED_PACKAGES.get(name)
    if package and find_spec(package) is None:
        return f'{package} is not installed; pip install "zhiyin[evaluate]"'
    if name == "own_items" and not repeats:
        return "items are not consumed again in this data"
    return ""


def select_peers(names: Collection[str], *, repeats: bool) -> list[Peer]:
    """Return the peers of these names in the order of `PEER_NAMES`, without text + EASE."""
    all_peers: list[Peer] = [
        POPULAR, POPULAR_RECENT, OwnItems(), ItemKnn(repeats), Ease(repeats), TEXT_MEAN,
        TEXT_TUNED, Ials(), SasRec(),
    ]  # fmt: skip
    return [peer for peer in all_peers if peer.name in names]
