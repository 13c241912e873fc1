"""A secret and a store to whether the hashes in the store are keyed with that secret.

With another one nobody can tell who was erased and which ids were retracted. The store has a check
value of the secret, from the first service on that used it.
"""

import logging
from http import HTTPStatus

import sqlalchemy as sa

from service.edge import Problem
from service.store.database import LiveDatabase
from service.store.ownership import UserHasher
from service.store.schema import erasures, retractions, secret_check

_OTHER_SECRET = (
    "the live store knows erased users and retracted ids by hashes under another secret; set "
    "ZHIYIN_SECRET to it (it is in the secret file of the service that made them), or, if it is "
    "lost, empty the table live_secret of the store: they may come again then"
)

_log = logging.getLogger(__name__)


def settle_secret(database: LiveDatabase, hasher: UserHasher) -> bool:
    """Note the secret in a store that knows none; log if it knows another.

    Returns:
        Whether the store may be given hashes under this secret.
    """
    try:
        with database.begin_read() as connection:
            known = _load_check(connection)
        if known is None:
            with database.begin_write() as transaction:
                known = _load_check(transaction.connection) or hasher.check_value
                _note(transaction.connection, known)
    except Problem as problem:
        _log.warning("the secret cannot be compared with the live store's: %s", problem.detail)
        return False
    if known != hasher.check_value:
        _log.error("%s", _OTHER_SECRET)
    return known == hasher.check_value


def require_secret(database: LiveDatabase, hasher: UserHasher) -> None:
    """Check that erased users and retracted ids can be told by this secret.

    Raises:
        Problem: 409 if the store has hashes under another one.
    """
    with database.begin_read() as connection:
        if _load_check(connection) not in (None, hasher.check_value):
            _refuse_hashes(connection)


def claim_secret(connection: sa.Connection, hasher: UserHasher) -> None:
    """Note the secret before a hash under it is written.

    Raises:
        Problem: 409 if the store has hashes under another one.
    """
    known = _load_check(connection)
    if known == hasher.check_value:
        return
    if known is not None:
        _refuse_hashes(connection)
    _note(connection, hasher.check_value)


def _refuse_hashes(connection: sa.Connection) -> None:
    for table in (erasures, retractions):
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise Problem(HTTPStatus.CONFLICT, _OTHER_SECRET)


def _load_check(connection: sa.Connection) -> bytes | None:
    known: bytes | None = connection.execute(sa.select(secret_check.c.check_value)).scalar()
    return known


def _note(connection: sa.Connection, check_value: bytes) -> None:
    connection.execute(secret_check.delete())
    connection.execute(secret_check.insert().values(check_value=check_value))
