"""What people say a text really means: the corrections that `train --continue` learns from.

A correction is of the text as a whole, or of what it says of one watchlist: "A beats B" is good for A and bad for B.

One file for both runtimes, `corrections.jsonl` beside the keys in `data_dir`: a line a correction, appended under a
lock and synced before anybody is told that it is stored. The last correction of the same is the one that counts. Texts
are masked like everything that is stored. An erasure overwrites the lines of a person in place.
"""

import fcntl
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import Field, ValidationError

from opinionwatch.pipeline.contracts import Label, Record, ScoredDocument, Utc, content_id
from opinionwatch.pipeline.errors import FatalError, RejectedError, SettingsError
from opinionwatch.pipeline.mention import reading_of
from opinionwatch.pipeline.pii import mask

FILE = "corrections.jsonl"
MOST = 500_000
"""Lines; a file of more is refused rather than read."""
LONGEST = 200_000
Via = Literal["page", "api", "csv", "command"]


class Correction(Record):
    """One person's word about one text."""

    schema_version: Literal[1] = 1
    id: str
    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    lang: Annotated[str, Field(max_length=35)]
    label: Label
    by: Annotated[str, Field(min_length=1, max_length=100)]
    via: Via
    at: Utc
    comment: Annotated[str, Field(max_length=500)] = ""
    watchlist: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Id of what the text is for or against with this label; None: the label is that of the text as a whole."""
    document_id: str | None = None
    """None: the text came with the correction."""
    author: str | None = None
    """Pseudonym of who wrote the text, so that an erasure finds it."""
    was: Label | None = None
    """What the model had said, of the same."""
    scorer: str | None = None
    """Which model."""

    @property
    def about(self) -> tuple[str, str | None]:
        """Of what it is: of several corrections of the same the last one counts."""
        return self.text, self.watchlist


def of_document(
    scored: ScoredDocument,
    label: Label,
    by: str,
    via: Via,
    at: datetime,
    comment: str = "",
    watchlist: str | None = None,
) -> Correction:
    """A correction of a stored document. Raises RejectedError for a watchlist that it does not mention."""
    _check_mentioned(watchlist, [match.watchlist for match in scored.matches])
    was = scored.reading if watchlist is None else reading_of(scored, watchlist)
    return Correction(
        id=_id(watchlist, scored.id, label, by, comment),
        text=scored.document.text,
        lang=scored.lang,
        label=label,
        by=by,
        via=via,
        at=at,
        comment=mask(comment),
        watchlist=watchlist,
        document_id=scored.id,
        author=scored.document.author,
        was=was.sentiment.label,
        scorer=scored.scorer,
    )


def of_text(
    text: str,
    lang: str,
    label: Label,
    by: str,
    via: Via,
    at: datetime,
    watchlist: str | None = None,
    mentioned: Collection[str] = (),
) -> Correction:
    """A correction that brings its own text; personal data in it is masked. Raises RejectedError for a watchlist that
    is none of those `mentioned` in it.
    """
    _check_mentioned(watchlist, mentioned)
    masked = mask(text)
    return Correction(
        id=_id(watchlist, masked, label, by),
        text=masked,
        lang=lang,
        label=label,
        by=by,
        via=via,
        at=at,
        watchlist=watchlist,
    )


def _id(watchlist: str | None, *parts: str) -> str:
    return content_id("correction", *parts) if watchlist is None else content_id("correction to", watchlist, *parts)


def _check_mentioned(watchlist: str | None, mentioned: Collection[str]) -> None:
    if watchlist is None or watchlist in mentioned:
        return
    cure = f"name one of {', '.join(mentioned)}, or leave" if mentioned else "leave"
    raise RejectedError(
        "invalid_field",
        f"watchlist: the text does not mention '{watchlist[:64]}'; {cure} it out to correct the text as a whole",
    )


class Corrections:
    """The file. Safe to use from several processes."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE

    def add(self, given: Iterable[Correction]) -> int:
        """Store; durable when it returns. Returns how many were new: what repeats the same person's last word on the
        same changes nothing.
        """
        with self._locked() as file:
            count = 0
            said: dict[str, str] = {}
            for each in _read(file, self.path):
                count, said[_word(each)] = count + 1, each.id
            fresh: list[Correction] = []
            for each in given:
                if said.get(_word(each)) != each.id:
                    said[_word(each)] = each.id
                    fresh.append(each)
            if count + len(fresh) > MOST:
                raise SettingsError(f"{self.path} holds {MOST} corrections: train on them, then move it away")
            torn = file.tell() > 0 and _last_byte(file) != b"\n"
            file.seek(0, os.SEEK_END)
            lines = b"".join(each.model_dump_json().encode() + b"\n" for each in fresh)
            file.write((b"\n" if torn else b"") + lines)
            file.flush()
            os.fsync(file.fileno())
        return len(fresh)

    def all(self) -> list[Correction]:
        """Every one, oldest first; what a crash has torn is left out. Raises FatalError when it cannot be read."""
        if not self.path.exists():
            return []
        with self._locked() as file:
            return list(_read(file, self.path))

    def standing(self) -> list[Correction]:
        """The last one of each text, and of each watchlist that it was corrected for: what is to be learnt."""
        return [*{each.about: each for each in self.all()}.values()]

    def of(self, scored: ScoredDocument) -> dict[str | None, Correction]:
        """The last ones of a document, unless its text was edited since: by watchlist, None for the text as a whole."""
        if not self.path.exists():
            return {}
        with self._locked() as file:
            # A page is shown more often than a text is corrected: only its own lines are parsed.
            found = list(_read(file, self.path, scored.id.encode()))
        mine = (each for each in found if each.document_id == scored.id and each.text == scored.document.text)
        return {each.watchlist: each for each in mine}

    def forget(self, documents: Collection[str], authors: Collection[str]) -> int:
        """Overwrite the corrections of these documents and authors (pseudonyms); durable. Returns how many."""
        if not self.path.exists():
            return 0
        with self._locked() as file:
            found = 0
            file.seek(0)
            start = 0
            for line in iter(file.readline, b""):
                correction = _parsed(line)
                if correction and (correction.document_id in documents or correction.author in authors):
                    file.seek(start)
                    file.write(b" " * (len(line) - 1) + b"\n")
                    found += 1
                start += len(line)
                file.seek(start)
            file.flush()
            os.fsync(file.fileno())
        return found

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise FatalError(f"{self.path} cannot be opened ({error.strerror})") from error
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _word(given: Correction) -> str:
    """Names who speaks of what."""
    return content_id(given.text, given.watchlist or "", given.by)


def _read(file: BinaryIO, path: Path, within: bytes = b"") -> Iterator[Correction]:
    """Those whose line has `within` in it."""
    file.seek(0)
    for number, line in enumerate(iter(lambda: file.readline(LONGEST), b"")):
        if number > MOST:
            raise FatalError(f"{path} holds more than {MOST} lines: it is not what this program wrote")
        correction = _parsed(line) if within in line else None
        if correction is not None:
            yield correction


def _parsed(line: bytes) -> Correction | None:
    try:
        return Correction.model_validate_json(line) if line.strip() else None
    except ValidationError:
        return None


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)
