"""Commands on texts: score, explain."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import orjson
import typer

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.console import ConfigOption, settings
from opinionwatch.pipeline.console import out as out_
from opinionwatch.pipeline.contracts import Span
from opinionwatch.pipeline.errors import RejectedError, SettingsError
from opinionwatch.pipeline.fold import Folded, fold
from opinionwatch.pipeline.live_scorer import in_force
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.read import language
from opinionwatch.pipeline.scoring import Answer, Asked, RefusedText, name, places_of, score_texts
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.submission import load

CHUNK = 512
LONGEST_LINE = 8 * 1024 * 1024
TargetOption = Annotated[
    str | None, typer.Option(help="A name in the text, found as a watchlist's names are: what is said of it?")
]


def score(target: TargetOption = None, config: ConfigOption = None) -> None:
    """Read JSON lines {"text": …} on standard input, write one each in the same order: sentiment, opinions, lang.

    With --target, or "target" in a line, also what the text says of that name: “A beats B” is good for A and bad for B.
    A line that cannot be read is answered with {"error": …}; the others go on.

    Example: echo '{"text": "The battery is awful"}' | opinionwatch score
    """
    wanted = _name(target)
    scorer = wiring.scorer(in_force(settings(config)))
    lines = _lines()
    while chunk := list(islice(lines, CHUNK)):
        answers: list[Answer | None] = []
        asked: list[Asked] = []
        for line in chunk:
            try:
                asked.append(_asked(line, wanted))
                answers.append(None)
            except RejectedError as error:
                answers.append(RefusedText(error=error.reason, detail=error.detail))
        scored = iter(score_texts(scorer, asked))
        for answer in answers:
            said = answer if answer is not None else next(scored)
            sys.stdout.buffer.write(said.model_dump_json().encode() + b"\n")
        sys.stdout.buffer.flush()


def _lines() -> Iterator[bytes]:
    while line := sys.stdin.buffer.readline(LONGEST_LINE + 1):
        yield line.rstrip(b"\r\n")
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = sys.stdin.buffer.readline(LONGEST_LINE + 1)


def _asked(line: bytes, target: str | None) -> Asked:
    given = load(line, LONGEST_LINE)
    text, own = given.get("text"), given.get("target")
    if not isinstance(text, str):
        raise RejectedError("missing_field" if text is None else "invalid_field", 'a line is {"text": "…"}')
    return Asked(text, target if own is None else name(own))


def _name(target: str | None) -> str | None:
    """The name of `--target`."""
    try:
        return None if target is None else name(target)
    except RejectedError as error:
        raise SettingsError(f"--{error.detail}") from error


def _text_of(chosen: Settings, text: str | None, document: str | None) -> str:
    """What is to be explained."""
    if (text is None) == (document is None):
        raise SettingsError("name a text, or a document of the store with --document ID")
    if document is None:
        return text or ""
    found = archive_of(chosen).document(document)
    if found is None:
        raise SettingsError(f"no document '{document}': the page and `opinionwatch export` show their ids")
    return found.document.text


def _places(folded: Folded, target: str | None) -> tuple[tuple[Span, ...], ...]:
    """Where a name stands in a text, as a passage's only target. Raises SettingsError where it does not."""
    if target is None:
        return ()
    places = places_of(folded, target)
    if not places:
        raise SettingsError(f"--target: '{target}' does not stand in this text, as a watchlist's name would have to")
    return (places,)


def explain(
    text: Annotated[
        str | None, typer.Argument(help="A text of any length; what the model reads of it is explained.")
    ] = None,
    document: Annotated[
        str | None, typer.Option("--document", help="Id of a document of the store, instead of a text.")
    ] = None,
    target: TargetOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show which words made the model read a text as it does, and whether taking them out changes its mind.

    With --target: which words made it read the text so for that name.

    Example: opinionwatch explain "The screen is great but the battery is awful"
    """
    from opinionwatch.models.explain_show import to_text
    from opinionwatch.models.neural import NeuralScorer

    chosen = in_force(settings(config))
    if chosen.scorer.kind != "neural":
        raise SettingsError(f"explain needs a neural scorer; the settings say '{chosen.scorer.kind}'")
    folded = fold(_text_of(chosen, text, document)[: chosen.limits.text_chars])
    places = _places(folded, _name(target))
    scorer = NeuralScorer(NeuralScorer.Settings.model_validate({**chosen.scorer.options, "precision": "fp32"}))
    if places and not scorer.tells_targets:
        raise SettingsError(
            f"--target: {scorer.version} knows no targets; leave it out, or use a model that was taught"
        )
    passage = Passage(folded.text, language(folded.text).tag, places)
    found = scorer.explain(passage)
    if json_:
        words = [{"text": passage.text[slice(*word.span)], "weight": round(word.weight, 4)} for word in found.words]
        plain = {**found._asdict(), "words": words, "faithfulness": found.faithfulness}
        sys.stdout.buffer.write(orjson.dumps(plain) + b"\n")
    else:
        out_.print(to_text(passage.text, found))


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(score)
    app.command()(explain)
