"""A correction round trip: 200 corrections → train --continue → gate → promote, with figures before and after.

    python tests/bench/correcting.py ../shared/data/dev/en_fpb.jsonl.gz --data ../shared/data

The file is one the model does poorly on. One half is what comes in: the model reads it, `label queue` chooses
what to correct, and the file's own labels play the people. The other half is the new set; the recipe's other files
are the old ones. Everything happens in --out, a scratch folder if none is given; nothing is shipped.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import orjson
import torch

from opinionwatch.models.compare import Comparison, compare
from opinionwatch.models.continuing import continue_training
from opinionwatch.models.corrected import lessons
from opinionwatch.models.data import draw
from opinionwatch.models.evaluate_read import Labelled, read_labelled
from opinionwatch.models.examples import LABELS, Example
from opinionwatch.models.manifest import DEFAULT
from opinionwatch.models.neural import NeuralScorer
from opinionwatch.models.train import RECIPES
from opinionwatch.pipeline.console import quiet_logs
from opinionwatch.pipeline.contracts import Document, ScoredDocument, content_id
from opinionwatch.pipeline.correction_table import LABELS as NAMES
from opinionwatch.pipeline.corrections import Corrections, of_text
from opinionwatch.pipeline.fold import fold
from opinionwatch.pipeline.label_queue import most_useful
from opinionwatch.pipeline.ports import Passage

OLD = (
    "en_semeval_twitter", "en_sst2", "en_sentfin", "zh_online_shopping", "zh_waimai", "zh_weibo2018", "zh_finfe",
)  # fmt: skip
AT = datetime(2026, 11, 26, tzinfo=UTC)


def main() -> None:
    """Do it, and print a table."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("file", type=Path)
    given.add_argument("--data", type=Path, default=Path("../shared/data"))
    given.add_argument("--out", type=Path)
    given.add_argument("--corrections", type=int, default=200)
    given.add_argument("--rehearsal", type=int, default=20, help="old rows for each correction")
    given.add_argument("--epochs", type=float, default=1, help="of training: not minutes, which depend on the load")
    given.add_argument("--limit", type=int, default=300, help="rows of each old set")
    asked = given.parse_args()
    out = asked.out or Path(mkdtemp(prefix="opinionwatch-correcting-"))
    quiet_logs()
    torch.set_num_threads(1)
    begun = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    base = NeuralScorer()
    rows = [row for row in read_labelled(asked.file) if isinstance(row, Labelled) and row.label is not None]
    # By hash, not by place: files are sorted, by label or by time.
    incoming = [row for row in rows if draw(row.text) < 0.5]
    rest = [row for row in rows if draw(row.text) >= 0.5]
    new_set = out / f"half-of-{asked.file.name.split('.')[0]}.jsonl"
    with new_set.open("wb") as file:
        for row in rest:
            file.write(orjson.dumps({"text": row.text, "label": LABELS[row.label or 0], "lang": row.lang}) + b"\n")
    corrected = corrections(base, incoming, asked.corrections, out)
    say(f"{len(corrected)} corrections chosen by the queue of {len(incoming)} texts ({time.monotonic() - begun:.0f} s)")
    done = continue_training(
        DEFAULT, corrected, out / "run", recipe_path=RECIPES / "default.yaml", data=asked.data,
        rehearsal=asked.rehearsal, epochs=asked.epochs, dev_cap=60,
    )  # fmt: skip
    say(f"{done.version} after {done.minutes:.1f} minutes of training ({time.monotonic() - begun:.0f} s)")
    new = NeuralScorer(NeuralScorer.Settings(artefact=done.artefact))
    told("new", compare(base, new, [new_set], flips=0))
    promoted(done.artefact, [asked.data / "dev" / f"{name}.jsonl.gz" for name in OLD], asked.limit, out)
    say(f"all of it: {time.monotonic() - begun:.0f} s on one thread")
    if asked.out is None:
        rmtree(out)


def corrections(base: NeuralScorer, rows: Sequence[Labelled], number: int, out: Path) -> list[Example]:
    """What the queue asks for, answered by the file's labels and stored as corrections are."""
    kept = Corrections(out)
    kept.path.unlink(missing_ok=True)
    truth = {row.text: row for row in rows}
    asked = most_useful(list(read(base, [*truth.values()])), (), number)
    for scored in asked:
        row = truth[scored.document.text]
        kept.add([of_text(row.text, row.lang, NAMES[row.label or 0], "the file's labels", "csv", AT)])
    return lessons(kept.standing()).rows


def read(base: NeuralScorer, rows: Sequence[Labelled]) -> list[ScoredDocument]:
    """Documents of these texts, as the model reads them."""
    found = []
    for at in range(0, len(rows), 256):
        part = rows[at : at + 256]
        readings = base.score([Passage(fold(row.text).text, row.lang) for row in part])
        for row, reading in zip(part, islice(readings, len(part)), strict=True):
            document = Document(
                id=content_id(row.text), tenant="t", source="file", source_kind="file", instance="file",
                native_id=content_id(row.text), text=row.text, author=None, url=None, published_at=AT, accepted_at=AT,
            )  # fmt: skip
            found.append(
                ScoredDocument(
                    document=document,
                    lang=row.lang,
                    lang_confidence=1,
                    fingerprint="0" * 16,
                    matches=(),
                    reading=reading.model_copy(update={"opinions": ()}),
                    scorer=base.version,
                )
            )
    return found


def promoted(artefact: Path, fixed: Sequence[Path], limit: int, out: Path) -> None:
    """The gate on the old sets, and the promotion if it opens: the command that a user gives."""
    config = out / "opinionwatch.yaml"
    config.write_text(f"data_dir: {out / 'data'}\nscorer: {{kind: neural}}\n", encoding="utf-8")
    program = str(Path(sys.executable).parent / "opinionwatch")
    sets = [word for file in fixed for word in ("--fixed", str(file))]
    for words in (["promote", str(artefact), *sets, "--limit", str(limit), "--by", "the bench"], ["list"]):
        subprocess.run([program, "model", *words, "-c", str(config)], check=False, env={**os.environ, "COLUMNS": "140"})


def say(words: str) -> None:
    """A line, at once."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def told(kind: str, found: Comparison) -> None:
    """A line a file."""
    for each in found.files:
        change = each.macro_f1
        say(
            f"{kind:3} {each.file[:44]:44} {each.texts:5} texts  accuracy {each.accuracy.old:.1%} → "
            f"{each.accuracy.new:.1%}  macro-F1 {change.old:.1%} → {change.new:.1%} "
            f"({100 * change.low:+.1f} … {100 * change.high:+.1f}: {change.verdict})"
        )


if __name__ == "__main__":
    main()
