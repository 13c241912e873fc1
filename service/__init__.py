"""What is live: the HTTP service over an index. It uses `indexer`, never the reverse."""

from service.app import create_app
from service.settings import Settings

__all__ = ["Settings", "create_app"]
