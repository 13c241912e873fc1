"""Names to peers: those that are quick, all of them, those that are not installed."""

from collections.abc import Collection
from importlib.util import find_spec

from indexer.errors import RequestError
from indexer.evaluation.peers.ials import Ials
from indexer.evaluation.peers.item_item import Ease, ItemKnn
from indexer.evaluation.peers.popularity import POPULAR, POPULAR_RECENT, OwnItems
from indexer.evaluation.peers.protocol import Peer
from indexer.evaluation.peers.sasrec import SasRec
from indexer.evaluation.peers.text_mean import TEXT_MEAN, TEXT_TUNED

TEXT_EASE = "text_ease"  # made of what the peers before it were tuned to
FAST_PEERS = (
    "popular", "popular_recent", "own_items", "itemknn_decay", "ease_decay", "text_mean",
    "text_tuned", TEXT_EASE, "ials",
)  # fmt: skip
PEER_NAMES = (*FAST_PEERS, "sasrec")
_REQUIRED_PACKAGES = {"ials": "implicit", "sasrec": "torch"}


def parse_peer_names(text: str) -> tuple[str, ...]:
    """Read "fast", "all" or names with commas between.

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
    """Say why a peer is not measured; empty if it is."""
    package = _REQUIRED_PACKAGES.get(name)
    if package and find_spec(package) is None:
        return f'{package} is not installed; pip install "zhiyin[evaluate]"'
    if name == "own_items" and not repeats:
        return "items are not consumed again in this data"
    return ""


def select_peers(names: Collection[str], *, repeats: bool) -> list[Peer]:
    """Return the peers that learn alone, in the order of `PEER_NAMES`; text + EASE is made later."""
    all_peers: list[Peer] = [
        POPULAR, POPULAR_RECENT, OwnItems(), ItemKnn(repeats), Ease(repeats), TEXT_MEAN,
        TEXT_TUNED, Ials(), SasRec(),
    ]  # fmt: skip
    return [peer for peer in all_peers if peer.name in names]
