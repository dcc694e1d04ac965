"""GDELT's fifteen-minute files, imitated."""

import io
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.connectors.imitation import Asked, Told

STEP = timedelta(minutes=15)


@dataclass
class GdeltFiles:
    """A day's files with some rows each; some are missing for ever, or damaged."""

    files: int
    rows: int
    missing: set[int] = field(default_factory=set)
    damaged: dict[int, bytes] = field(default_factory=dict)
    """What some hold instead of a table."""
    first: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self, asked: Asked) -> Told:
        """The list of the latest, or a file."""
        name = asked.path.removeprefix("/")
        if name in ("lastupdate.txt", "lastupdate-translation.txt"):
            infix = ".translation" if "translation" in name else ""
            base = f"http://data.gdeltproject.org/gdeltv2/{self.stamp(self.files - 1)}{infix}"
            kinds = ("export.CSV", "mentions.CSV", "gkg.csv")
            return Told("".join(f"1 0123456789abcdef {base}.{kind}.zip\n" for kind in kinds).encode())
        for number in range(self.files):
            for infix in ("", ".translation"):
                if name == f"{self.stamp(number)}{infix}.gkg.csv.zip" and number not in self.missing:
                    return Told(self.damaged.get(number) or self.packed(number, translated=bool(infix)))
        return Told(b"<Error><Code>NoSuchKey</Code></Error>", 404)

    def stamp(self, number: int) -> str:
        """When a file was written."""
        return f"{self.first + STEP * number:%Y%m%d%H%M%S}"

    def packed(self, number: int, *, translated: bool) -> bytes:
        """A file."""
        table = "".join(self.row(number, row, translated=translated) for row in range(self.rows))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{self.stamp(number)}.gkg.csv", table)
        return packed.getvalue()

    def row(self, number: int, row: int, *, translated: bool) -> str:
        """27 columns."""
        columns = [""] * 27
        columns[0] = f"{self.stamp(number)}-{'T' if translated else ''}{row}"
        columns[1], columns[2], columns[3] = self.stamp(number), "1", "news.example"
        columns[4] = f"https://news.example/{number}/{row}"
        columns[25] = "srclc:zho;eng:GT-ZHO 1.0" if translated else ""
        title = f"<PAGE_TITLE>Lumora&#x2019;s day {number}.{row} &amp; 电池</PAGE_TITLE>" if row % 7 else ""
        columns[26] = (
            f"<PAGE_LINKS>a;b</PAGE_LINKS>{title}<PAGE_PRECISEPUBTIMESTAMP>20260301011500</PAGE_PRECISEPUBTIMESTAMP>"
        )
        return "\t".join(columns) + "\n"
