"""A build beside a live store: what the store holds goes in, and interactions become histories."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from indexer import BuildOptions, BuildSummary, IndexerError, SnapshotError, build_index
from indexer.build import LiveState
from indexer.progress import StageProgress
from indexer.reading import ValueKind, choose_fields_option
from indexer.request import collect_known_events, load_index_scenarios
from service.edge import load_secret
from service.jobs.import_events import ImportPlan, ImportSummary, import_interactions
from service.jobs.import_memory import recall_before_import, remember_import
from service.store import (
    LiveDatabase,
    UserHasher,
    cache_live_vectors,
    prune_applied_changes,
    raise_as_failure,
    read_changes,
    require_secret,
)


@dataclass(frozen=True, slots=True)
class StoreBuildPlan:
    """What is built, and with which live store.

    Attributes:
        catalog: Files and SQLAlchemy URLs of the catalogue.
        out: Index directory.
        options: Of the build, without what the store adds.
        db: SQLAlchemy URL of the live store to fold in; None: none is.
        drops_live: Whether live item changes so far are dropped instead.
        import_db: SQLAlchemy URL of the store in which the interactions of the build become
            histories of users; made if it is new. None: they do not.
    """

    catalog: Sequence[str]
    out: Path
    options: BuildOptions
    db: str | None
    drops_live: bool
    import_db: str | None


@dataclass(frozen=True, slots=True)
class StoreBuildSummary:
    """What a build beside a store did.

    Attributes:
        build: What was built.
        live_items: Live item changes that were folded in.
        live_events: Events of the store.
        imported: What became of the interactions in the store; None: nothing.
    """

    build: BuildSummary
    live_items: int
    live_events: int
    imported: ImportSummary | None


def build_with_store(plan: StoreBuildPlan, *, report: StageProgress) -> StoreBuildSummary:
    """Build and publish; then keep the interactions as histories.

    They are kept last, so that a build that fails leaves the store as it was.

    Raises:
        IndexerError: If the build fails, see `build_index`; or if it was published and its
            interactions could not be kept.
        SettingsError: If the store cannot be opened.
    """
    with raise_as_failure(), _fold_in(plan) as options:
        summary = build_index(plan.catalog, plan.out, report=report, options=options)
    imported = None
    if plan.import_db is not None and plan.options.interactions is not None:
        imported = _keep_interactions(
            plan.import_db, plan.options.interactions, plan, summary, report
        )
        remember_import(
            plan.out,
            plan.import_db,
            load_secret(None, os.environ),
            learned=options,
            built=summary,
            imported=imported,
        )
    return StoreBuildSummary(
        summary,
        live_items=len(list(options.changes)),
        live_events=len(options.live_events),
        imported=imported,
    )


@contextmanager
def _fold_in(plan: StoreBuildPlan) -> Iterator[BuildOptions]:
    """Yield the options with what the store holds; once published, the store drops it."""
    if plan.db is None:
        yield plan.options
        return
    with closing(LiveDatabase.open(plan.db)) as database:
        secret = load_secret(None, os.environ)
        if plan.options.interactions is not None:  # some of erased users may be among them
            require_secret(database, UserHasher(secret))
        found, changes = read_changes(
            database, secret, now=time.time(), with_items=not plan.drops_live
        )
        cache_live_vectors(plan.out, changes)
        yield replace(
            plan.options,
            changes=found.items,
            live_events=found.events,
            has_history=found.has_history,
            select_new=found.select_new,
            live_state=found.state,
            applied_seq=found.applied_seq,
            before_import=recall_before_import(plan.out, LiveState(found.state, found.applied_seq)),
        )
        prune_applied_changes(
            database, plan.out, drop_up_to_seq=found.applied_seq if plan.drops_live else None
        )


def _keep_interactions(
    url: str, source: str, plan: StoreBuildPlan, built: BuildSummary, report: StageProgress
) -> ImportSummary:
    options = plan.options
    importing = ImportPlan(
        source=source,
        db=url,
        root=plan.out,
        query=options.interactions_query,
        fields=options.split_fields()[1],
        fields_option=choose_fields_option(options.interaction_fields),
        event=options.event,
        value_kind=ValueKind(options.value_is) if options.value_is else None,
        context=options.context,
        known_names=collect_known_events(load_index_scenarios(plan.out)),
        max_rejected=options.max_rejected,
    )
    try:
        return import_interactions(importing, report=report)
    except IndexerError as error:
        raise SnapshotError(
            f"snapshot {built.snapshot} is published, but its interactions are not all kept as "
            f"histories of users: {error}"
        ) from error
