"""Which model is in force: a file beside the store, `models/promotions.json`, that only ever grows.

Promoting and rolling back append an entry. The artefacts lie beside it as copies under their versions, so what was in
force once can be again, whatever became of the folder it was trained in. Whoever scores looks at the file between
batches.
"""

import fcntl
import json
import os
import shutil
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import ValidationError

from opinionwatch.pipeline.contracts import Record, Utc
from opinionwatch.pipeline.errors import SettingsError

FOLDER = "models"
FILE = "promotions.json"
MANIFEST = "manifest.json"


class Promotion(Record):
    """A model that came into force."""

    name: str
    """What its opinions bear: the version, with a number after `+` where the version came back. The detector takes an
    unknown name for another scorer and learns its baseline anew; a known old one it would not compare any more.
    """
    version: str
    manifest: str
    """sha256 of its manifest, which names the hash of every other file."""
    at: Utc
    by: str
    kind: Literal["base", "promotion", "rollback"]
    before: str | None
    """Name of the entry that a rollback from here leads to."""
    gate: tuple[str, ...] = ()
    """Files on which it was not significantly worse."""


class Promotions(Record):
    """All there were; the last one is in force."""

    schema_version: Literal[1] = 1
    entries: tuple[Promotion, ...] = ()

    @property
    def current(self) -> Promotion | None:
        """The one in force; None: what the settings name."""
        return self.entries[-1] if self.entries else None

    def name_for(self, version: str) -> str:
        """What opinions bear if that version comes into force now."""
        times = sum(entry.version == version for entry in self.entries)
        return f"{version}+{times}" if times else version

    def entry(self, name: str | None) -> Promotion | None:
        """The entry of that name."""
        return next((entry for entry in self.entries if entry.name == name), None)


class Shelf:
    """The folder with the file and the copies."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / FOLDER
        self.file = self.folder / FILE

    def read(self) -> Promotions:
        """What there was; nothing when there is no file. Raises SettingsError when it is damaged."""
        try:
            return Promotions.model_validate_json(self.file.read_bytes())
        except FileNotFoundError:
            return Promotions()
        except (OSError, ValidationError) as error:
            raise SettingsError(
                f"{self.file} is damaged or unreadable: restore it, or move {self.folder} away to score with the "
                "model of the settings"
            ) from error

    def stamp(self) -> tuple[int, int, int] | None:
        """Something that changes whenever the file does."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def copy(self, version: str) -> Path:
        """Where the copy of a version lies."""
        return self.folder / version

    def keep(self, artefact: Path, version: str) -> str:
        """Copy an artefact, whole or not at all; returns the sha256 of its manifest. Nothing if it is there."""
        place = self.copy(version)
        if not place.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self.folder, prefix=".incoming-") as made:
                whole = Path(made) / version
                shutil.copytree(artefact, whole, symlinks=False)
                for file in whole.iterdir():
                    with file.open("rb") as written:
                        os.fsync(written.fileno())
                whole.replace(place)
        return self.manifest(version)

    def manifest(self, version: str) -> str:
        """The sha256 of a copy's manifest. Raises SettingsError when the copy is gone."""
        path = self.copy(version) / MANIFEST
        try:
            return sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise SettingsError(f"the copy of {version} is not whole: {path} cannot be read") from error

    def add(self, *entries: Promotion, decided_on: Promotions | None = None) -> Promotions:
        """Append; durable, and whole for every reader at every moment.

        `decided_on` is what there was when somebody decided. Raises SettingsError when more has come since: what was
        judged then was judged against a model that is not in force any more.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        held = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            found = self.read()
            if decided_on is not None and found != decided_on:
                now = "another model" if found.current is None else found.current.name
                raise SettingsError(f"{now} came into force meanwhile; nothing is changed: run the command again")
            grown = found.model_copy(update={"entries": (*found.entries, *entries)})
            # Who holds the lock is the only one to write it; readers may be other users, as with the copies.
            beside = self.file.with_suffix(".part")
            with beside.open("w", encoding="utf-8") as file:
                file.write(json.dumps(grown.model_dump(mode="json"), indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.file)
            os.fsync(held)
        finally:
            os.close(held)
        return grown


def rolled_back(found: Promotions, at: datetime, by: str) -> Promotion:
    """The entry that leads back to what was in force before. Raises SettingsError when there is nothing to go back to.

    Going back from a rollback leads further back, not forth.
    """
    current = found.current
    target = found.entry(current.before) if current is not None else None
    if current is None or target is None:
        raise SettingsError("there is no earlier model to go back to; `opinionwatch model list` shows what there was")
    return target.model_copy(
        update={"name": found.name_for(target.version), "at": at, "by": by, "kind": "rollback", "gate": ()}
    )
