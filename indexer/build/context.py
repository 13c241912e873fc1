"""Options and folders of one build to the state that its stages share."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from indexer.build.encoder_selection import EncoderSelection
from indexer.build.options import BuildOptions
from indexer.build.parent_snapshot import ParentSnapshot
from indexer.build.training_data import TrainingData, has_training_data, read_training_data
from indexer.metadata import MetadataStore
from indexer.progress import StageProgress
from indexer.reading import (
    EventReading,
    FindingCounts,
    Interaction,
    ReadingNotes,
    ValueKind,
    choose_fields_option,
)
from indexer.request import collect_own_weights, load_index_scenarios

COUNT_NAMES = (
    "items",
    "rejected",
    "duplicates",
    "encoded",
    "reused",
    "interactions",
    "interactions_matched",
    "rejected_interactions",
)


class BuildContext:
    """What every stage of one build may read, and the counts that they add to.

    Attributes:
        root: Index directory.
        work: Folder of this build; renamed to a snapshot at the end.
        options: What the caller chose.
        report: Called with the progress of each stage.
        started_at: When the build began, UTC.
        trials_file: Settings of taste that were tried; beside the snapshots, so that it outlives
            a killed build.
        parent: The snapshot that was live when the build began.
        encoder_selection: Chooses and loads the language model.
        counts: See `COUNT_NAMES`.
        inputs_hash: Of the source files and options; "" if it cannot be known.
        content_hash: Of the items, encoder and options; "" if it cannot be known.
        inputs_hash_before_import: As the first would be if the live store did not hold what the
            live snapshot learned from a file; "" if that is all the same.
        content_hash_before_import: As the second would be then.
        findings: Fields of the catalogue that could not be read as they came.
        encoder_report: How the tuned encoder compared; None if it was not tuned.
        notes: What was guessed or left out, one sentence each, for the summary.
    """

    def __init__(
        self, root: Path, work: Path, options: BuildOptions, report: StageProgress
    ) -> None:
        self.root, self.work, self.options, self.report = root, work, options, report
        self.started_at = datetime.now(UTC)
        self.trials_file = root / "tried.jsonl"
        self.parent = ParentSnapshot(root)
        self.encoder_selection = EncoderSelection(root, options, self.parent)
        self.counts = dict.fromkeys(COUNT_NAMES, 0)
        self.inputs_hash = self.content_hash = ""
        self.inputs_hash_before_import = self.content_hash_before_import = ""
        self.findings = FindingCounts()
        self.encoder_report: dict[str, Any] | None = None
        self.notes: list[str] = []

    @property
    def interactions(self) -> Sequence[Interaction]:
        """The interactions to learn from."""
        return self.training_data.interactions

    @cached_property
    def training_data(self) -> TrainingData:
        """What is learned from, read once; bad rows are counted and written down."""
        reading = self.event_reading
        data = read_training_data(self.options, self.work, self.counts, reading)
        for line in reading.render():
            self.reading_notes.add(line)
        return data

    def iterate_items(self) -> Iterator[dict[str, Any]]:
        """Yield the fields of every item, once their files are written."""
        with closing(MetadataStore.open(self.work / "catalog.sqlite")) as store:
            for _, fields in store.iterate():
                yield fields

    @cached_property
    def event_weights(self) -> dict[str, float]:
        """The weights of events that `scenarios.toml` of the index directory adds."""
        return collect_own_weights(load_index_scenarios(self.root))

    @property
    def learned_weights(self) -> Mapping[str, float]:
        """Those weights that decide what is learned; empty if there is nothing to learn from."""
        return self.event_weights if has_training_data(self.options) else {}

    @cached_property
    def event_reading(self) -> EventReading:
        """What the caller says of the events; complete once the interactions are read."""
        options = self.options
        kind = ValueKind(options.value_is) if options.value_is else None
        return EventReading(
            options.event,
            kind,
            own_names=self.event_weights,
            fields_option=choose_fields_option(options.interaction_fields),
            notes=self.reading_notes,
        )

    @cached_property
    def reading_notes(self) -> ReadingNotes:
        """Takes what is guessed about sources, and tells it."""
        return ReadingNotes(self.note)

    def note(self, sentence: str) -> None:
        """Tell whoever waits a sentence, and keep it for the summary."""
        self.notes.append(sentence)
        if self.options.notice:
            self.options.notice(sentence)

    def is_unchanged(self) -> bool:
        """Whether the live snapshot may stay: the caller allows it and a hash is its own."""
        may_stay = bool(self.options.since) and not self.options.force_full
        return may_stay and self.parent.matches(
            inputs={self.inputs_hash, self.inputs_hash_before_import},
            content={self.content_hash, self.content_hash_before_import},
        )
