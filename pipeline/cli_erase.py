"""The command that erases: a person's posts, or single documents, from everything the product owns here."""

from collections.abc import Iterable
from datetime import UTC, datetime
from threading import Event
from time import monotonic
from typing import Annotated

import typer

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive import Archive
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.console import ConfigOption, err, out, plain, settings
from opinionwatch.pipeline.corrections import Corrections
from opinionwatch.pipeline.erasing import carry_out, restored
from opinionwatch.pipeline.errors import FatalError, SettingsError
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.store_lock import held
from opinionwatch.pipeline.store_sqlite import SqliteStore

CLEAN_S = 20.0
"""How long readers may hold up the emptying of the write-ahead log."""


def erase(
    author: Annotated[
        list[str] | None, typer.Option(help="Name as the source gives it, or the pseudonym that the page shows.")
    ] = None,
    document: Annotated[
        list[str] | None, typer.Option(help="Id of a document or dead letter, or its source's own id.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Wait so long for a running daemon.")] = 60,
    config: ConfigOption = None,
) -> None:
    """Erase all posts of an author, or single documents, for ever: from the index, the log, dead letters, episodes, the
    outbox, corrections, the detector's memory and the free pages of the file. A replay does not bring them back.

    Counts stay, and so does the keyed pseudonym of an erased author. In the cluster every daemon has to be stopped
    first, all topics but the saved states are emptied, and the brokers free their files some minutes later; their user
    needs ALTER_CONFIGS and DELETE on our topics and DESCRIBE on the cluster. After an erasure that was killed, the next
    waits up to six minutes until Elasticsearch has let go of its view. Exit 1: it could not be completed; run it again.

    Example: opinionwatch erase --author @anna --document 3f2a…
    """
    if not (author or document):
        raise SettingsError("name someone or something: --author NAME or --document ID")
    chosen = settings(config)
    if chosen.store != "sqlite":
        _from_the_cluster(chosen, author or [], document or [])
        return
    archive = SqliteArchive(chosen.store_path)
    authors = [each for name in author or () for each in _pseudonyms(chosen, archive.kinds(), name)]
    documents = [each for name in document or () for each in _documents(archive, name)]
    Corrections(chosen.data_dir).forget(set(documents), set(authors))
    store = SqliteStore(chosen.store_path)
    try:
        with store.transaction():
            store.erasures.request(authors, documents, datetime.now(UTC))
        found = _carried_out(store, chosen, [*authors, *documents], seconds)
    finally:
        store.close()
    out.print(f"erased: {found} documents and dead letters")
    if chosen.kafka.servers:
        err.print(
            plain("the topics still hold them: with `store: sqlite` their retention ends that, kafka.retention_h")
        )
    _name_the_exports(archive)


def _from_the_cluster(chosen: Settings, names: list[str], documents: list[str]) -> None:
    from opinionwatch.pipeline import daemon_worker, erasing_cluster  # take long to load, and only this needs them
    from opinionwatch.pipeline.archives import archive_of

    if not all(map(_is_pseudonym, names)) and not (chosen.data_dir / wiring.PSEUDONYM_KEY).exists():
        raise SettingsError(
            f"there is no {wiring.PSEUDONYM_KEY} in {chosen.data_dir}, so nobody is known by name here: erase where "
            "`ingest` runs, or name the pseudonym that the page shows"
        )
    kinds = erasing_cluster.kinds(chosen)
    authors = [each for name in names for each in _pseudonyms(chosen, kinds, name)]
    found = erasing_cluster.erase(chosen, authors, documents, daemon_worker.trend_of(chosen))
    out.print(f"erased: {found} documents and dead letters")
    if chosen.kafka.servers:
        err.print(plain("the brokers free their files within log.retention.check.interval.ms (5 minutes) and one more"))
    _name_the_exports(archive_of(chosen))


def _name_the_exports(archive: Archive) -> None:
    for path, at, count in archive.exports():
        if path.exists():
            err.print(plain(f"{count} documents were exported to {path} on {at:%Y-%m-%d}: delete it or export again"))


def _pseudonyms(chosen: Settings, kinds: Iterable[str], name: str) -> list[str]:
    bare = name.removeprefix("@")
    told = [each for given in {name, bare} for each in wiring.pseudonyms(chosen, given, kinds)]
    return told + ([bare] if _is_pseudonym(bare) else [])


def _is_pseudonym(name: str) -> bool:
    return len(name) == 16 and set(name) <= set("0123456789abcdef")


def _documents(archive: SqliteArchive, name: str) -> list[str]:
    known = archive.document(name) is not None or archive.deadletter(name) is not None
    found = [name] if known else archive.named(name)
    if not found:
        raise SettingsError(f"no document '{name}': `opinionwatch export` and the page show their ids")
    return found


def _carried_out(store: SqliteStore, chosen: Settings, values: list[str], seconds: float) -> int:
    """Erase now, or let the daemon that owns the store do it and wait for it."""
    try:
        with held(chosen.data_dir):
            trend = restored(store, wiring.trend_stage(chosen))
            with store.transaction():
                carry_out(store, trend, datetime.now(UTC))
    except FatalError:
        if store.erasures.waiting():
            _wait_for_the_daemon(store, values, seconds)
    if not store.erasures.clean(CLEAN_S):
        raise FatalError("erased, but a reader still holds the write-ahead log: end long exports and erase again")
    return store.erasures.found(values) or 0


def _wait_for_the_daemon(store: SqliteStore, values: list[str], seconds: float) -> None:
    end = monotonic() + seconds
    while store.erasures.found(values) is None:
        if monotonic() > end:
            raise FatalError(
                f"the daemon has not erased it within {seconds:g} s: it will, once it is not busy any more"
            )
        Event().wait(0.1)


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(erase)
