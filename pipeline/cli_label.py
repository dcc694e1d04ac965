"""Commands on corrections: which texts to label next, what people said of them, and where that is kept."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from getpass import getuser
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError
from rich.table import Table

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archive import Archive, DocumentQuery
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.console import ConfigOption, err, out, plain, settings
from opinionwatch.pipeline.contracts import ScoredDocument
from opinionwatch.pipeline.correction_table import LABELS, MAX_BYTES, Row, Slip, read_csv, to_csv
from opinionwatch.pipeline.corrections import Correction, Corrections, Via, of_document, of_text
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.label_queue import most_useful
from opinionwatch.pipeline.match import MatchStage
from opinionwatch.pipeline.read import language
from opinionwatch.pipeline.registry import nearest
from opinionwatch.pipeline.settings import Settings

app = typer.Typer(help="Correct the model: what to label next, and what people said.", no_args_is_help=True)
ByOption = Annotated[str | None, typer.Option("--by", help="Who says so; your user name if not given.")]
NEWEST = 2000


@app.command()
def queue(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    watchlist: Annotated[str | None, typer.Option(help="Only those of this watchlist.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a table to fill in, for `label add --csv`.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="JSON lines, for a program.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the documents that are worth a label most: the model is unsure of them, and no two are alike.

    Example: opinionwatch label queue --limit 50 --csv to-label.csv
    """
    chosen = settings(config)
    known = Corrections(chosen.data_dir).standing()
    done = {each.document_id for each in known}
    archive = archive_of(chosen)
    newest = _newest(archive, watchlist)
    found = most_useful([each for each in newest if each.id not in done], [each.text for each in known], limit)
    if csv is not None:
        csv.write_text(to_csv(found), encoding="utf-8-sig", newline="")
        archive.note_export(csv, len(found), datetime.now(UTC))  # so that an erasure names it
        out.print(plain(f"{len(found)} documents in {csv}: fill in the column `label`, then"))
        out.print(plain(f"  opinionwatch label add --csv {csv}"))
    elif json_:
        for each in found:
            facts = {"document_id": each.id, "text": each.document.text, "lang": each.lang}
            typer.echo(orjson.dumps({**facts, "sentiment": each.reading.sentiment.model_dump()}).decode())
    else:
        table = Table("document", "model says", "text")
        for each in found:
            mood = each.reading.sentiment
            text = " ".join(each.document.text.split())
            table.add_row(
                each.id, f"{mood.label} {max(mood.negative, mood.neutral, mood.positive):.0%}", plain(text[:120])
            )
        out.print(table)


@app.command()
def add(
    document: Annotated[str | None, typer.Argument(help="Id of a document; not with --csv.")] = None,
    label: Annotated[str | None, typer.Argument(help="negative, neutral or positive.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="A table with the columns `label` and `document_id` or `text`; `watchlist` is optional."),
    ] = None,
    watchlist: Annotated[
        str | None, typer.Option(help="Id of a watchlist: the label is what the text says of it.")
    ] = None,
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Store what a text really says: of one document, or of every labelled line of a table.

    “A beats B” is good for A and bad for B: with a watchlist the label is the one towards it, without that of the text
    as a whole. Exit 1: lines were left out.

    Example: opinionwatch label add 3f2a… negative --by dana
    """
    chosen = settings(config)
    if (csv is None) == (document is None) or (document is not None and label is None):
        raise SettingsError("name a document and its label, or a table: label add ID LABEL, or label add --csv FILE")
    if csv is not None and watchlist is not None:
        raise SettingsError("--watchlist: a table names its own, in the column `watchlist`")
    rows = _table(csv) if csv is not None else iter([_row(document or "", label or "", comment, watchlist or "")])
    via: Via = "csv" if csv is not None else "command"
    by, at = by or getuser(), datetime.now(UTC)
    desk = _Desk(chosen, by, via, at)
    taken: list[Correction] = []
    slips: list[Slip] = []
    for row in rows:
        found = row if isinstance(row, Slip) else desk.correction(row)
        (slips if isinstance(found, Slip) else taken).append(found)  # type: ignore[arg-type]  # each in its own list
    new = Corrections(chosen.data_dir).add(taken)
    out.print(f"stored: {new} new of {len(taken)}; `opinionwatch train --continue` learns from them")
    for slip in slips[:20]:
        err.print(plain(f"line {slip.line}: {slip.reason}"))
    if slips:
        raise typer.Exit(1)


@app.command("list")
def list_(
    json_: Annotated[bool, typer.Option("--json", help="JSON lines, for a program.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the corrections that stand: the last one of each text, and towards each watchlist, with who and when.

    Example: opinionwatch label list --json
    """
    found = Corrections(settings(config).data_dir).standing()
    if json_:
        for each in found:
            typer.echo(each.model_dump_json())
        return
    table = Table("when", "by", "via", "was", "is", "towards", "text", title=f"{len(found)} corrections")
    for each in found[-100:]:
        text = plain(" ".join(each.text.split())[:80])
        when, towards = f"{each.at:%Y-%m-%d %H:%M}", plain(each.watchlist or "–")
        table.add_row(when, plain(each.by), each.via, each.was or "–", each.label, towards, text)
    out.print(table)


def _newest(archive: Archive, watchlist: str | None) -> list[ScoredDocument]:
    found = archive.documents(DocumentQuery(watchlist=watchlist, limit=NEWEST // 2))
    if len(found) == NEWEST // 2:
        until = found[-1].document.published_at
        more = archive.documents(DocumentQuery(watchlist=watchlist, until=until, limit=NEWEST // 2))
        found = [*{each.id: each for each in (*found, *more)}.values()]
    return found


def _table(path: Path) -> Iterator[Row | Slip]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path} has more than {MAX_BYTES} bytes: cut it up")
        return read_csv(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error


def _row(document: str, label: str, comment: str, watchlist: str) -> Row:
    known = next((each for each in LABELS if each == label), None)
    if known is None:
        raise SettingsError(f"label '{label}'; {nearest(label, LABELS)}")
    return Row(1, document, "", known, comment, watchlist)


class _Desk:
    """Where rows become corrections, all of one person and time; the store is opened when a document is named."""

    def __init__(self, chosen: Settings, by: str, via: Via, at: datetime) -> None:
        self._by, self._via, self._at = by, via, at
        self._watchlists = cache(lambda: wiring.watchlists(chosen))
        self._store = cache(lambda: archive_of(chosen))
        self._match = cache(lambda: MatchStage(self._watchlists()))

    def correction(self, row: Row) -> Correction | Slip:
        """What the row says, or why it cannot be taken."""
        known = [each.id for each in self._watchlists()] if row.watchlist else []
        if row.watchlist and row.watchlist not in known:
            hint = nearest(row.watchlist, known) if known else "there are none in the settings"
            return Slip(row.line, f"no watchlist '{row.watchlist[:64]}'; {hint}")
        try:
            return self._of_document(row) if row.document_id else self._of_text(row)
        except RejectedError as error:
            return Slip(row.line, error.detail)
        except ValidationError as error:
            return Slip(row.line, error.errors()[0]["msg"])

    def _of_document(self, row: Row) -> Correction | Slip:
        scored = self._store().document(row.document_id)
        if scored is None:
            return Slip(row.line, f"no document {row.document_id[:40]} in the store")
        comment, watchlist = row.comment[:500], row.watchlist or None
        return of_document(scored, row.label, self._by, self._via, self._at, comment, watchlist)

    def _of_text(self, row: Row) -> Correction:
        folded = fold(row.text)
        lang = language(folded.text).tag
        mentioned = [match.watchlist for match in self._match().matches(folded, lang)] if row.watchlist else []
        return of_text(row.text, lang, row.label, self._by, self._via, self._at, row.watchlist or None, mentioned)


def register(root: typer.Typer) -> None:
    """Add these commands."""
    root.add_typer(app, name="label")
