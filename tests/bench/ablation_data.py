"""What the trainings of the ablation table have in common: the base recipe, its rows, and a backbone for just these."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from torch import nn
from transformers import PreTrainedConfig

from opinionwatch.models.data import Rows, draw, read_rows
from opinionwatch.models.encoder import Encoder
from opinionwatch.models.examples import Example
from opinionwatch.models.inputs import WORD_START, pieces_of
from opinionwatch.models.recipe import Body, Recipe
from opinionwatch.models.tokens import TextTokens
from opinionwatch.models.trim import Trimmed, rows_of, trim
from opinionwatch.models.vocabulary import load_tokenizer
from opinionwatch.models.weak import with_terms

LAYERS, VECTORS = 6, "vectors.txt"
SPARE = 8
"""Texts that are looked at for every short one that is wanted."""


@dataclass(frozen=True)
class Budget:
    """What one training may use, of every file of the recipe at most."""

    rows: int = 80
    """Labelled ones of a sentiment file; as many more are kept for pseudo-labels."""
    opinions: int = 60
    """Of a file of opinions."""
    dev: int = 20
    """Of a sentiment file and a class; of a file of opinions three times as many."""
    validation: int = 12
    """Of a sentiment file: for early stopping, and for how much a companion counts."""
    tokens: int = 40
    """Of the longest text: longer ones are passed over, none is cut."""
    steps: int = 100


@dataclass
class Drawn:
    """The rows of every training."""

    rows: Rows
    """To learn from; without dev rows."""
    plain: list[Example] = field(default_factory=list)
    """The same rows to train on, without what the lexicon finds."""
    pool: list[Example] = field(default_factory=list)
    """Rows of the same files without their labels."""
    moods: list[Example] = field(default_factory=list)
    """Dev rows with a label."""
    terms: list[Example] = field(default_factory=list)
    """Dev rows whose opinion terms are known."""

    def texts(self) -> list[str]:
        """Every one that is read by any training."""
        parts = (self.rows.train, self.rows.validation, self.pool, self.moods, self.terms)
        return [row.text for part in parts for row in part]


def base_recipe(shipped: Recipe, budget: Budget) -> Recipe:
    """Six layers on the recipe's files, and a schedule that one core finishes in a few seconds."""
    told = shipped.model_dump(mode="json")
    told |= {"name": "ablation", "companion": None, "dev_cap": None, "validation": 0.1, "uncapped": True}
    told |= {"start": None, "soup": 1.0}
    told["body"] |= {"layers": LAYERS, "targets": False, "max_tokens": budget.tokens}
    told["sentiment"] = [each for each in told["sentiment"] if not each["evaluate_only"]]
    told["opinions"] = [each | {"repeat": 1} for each in told["opinions"]]
    told["schedule"] |= {
        "epochs": 1, "deadline_minutes": None, "tokens_per_batch": 2048, "rows_per_batch": 24,
        "train_tokens": budget.tokens, "learning_rate": 4e-4, "head_learning_rate": 1e-2, "warmup": 0.1,
        "checkpoint_minutes": 600, "seed": 0, "threads": 1, "prior_strength": 0.0,
    }  # fmt: skip
    return Recipe.model_validate(told)


def draw_rows(base: Recipe, data: Path, tokens: TextTokens, budget: Budget) -> Drawn:
    """So many short rows of every file, always the same ones. Classes of dev rows are told equally often."""
    # The lexicon reads many texts a second, but not every one of every file: it reads those that are drawn.
    weak = {source.name for source in base.sources if source.lexicon}
    sources = [[s.model_copy(update={"lexicon": False}) for s in part] for part in (base.sentiment, base.opinions)]
    found = read_rows(base.model_copy(update={"sentiment": tuple(sources[0]), "opinions": tuple(sources[1])}), data)
    moods = {source.name for source in base.sentiment}

    def short(examples: Iterable[Example], of: Callable[[Example], Hashable], most: int) -> list[list[Example]]:
        parts: dict[Hashable, list[Example]] = defaultdict(list)
        for example in dict.fromkeys(examples):
            parts[of(example)].append(example)
        return [_short(part, tokens, budget.tokens, most) for part in parts.values()]

    def source(example: Example) -> Hashable:
        return example.source

    drawn = Drawn(replace(found, train=[], dev=[], bad=[]))
    for part in short((row for row in found.train if row.source in moods), source, 2 * budget.rows):
        half = min(budget.rows, (len(part) + 1) // 2)
        drawn.plain += part[:half]
        drawn.pool += [Example(row.text, row.source, row.lang) for row in part[half : 2 * half]]
    for part in short((row for row in found.train if row.source not in moods), source, budget.opinions):
        drawn.plain += part
    drawn.rows.train = [with_terms(row) if row.source in weak else row for row in drawn.plain]
    drawn.rows.validation = _flat(short(found.validation, source, budget.validation))
    labelled = (row for row in found.dev if row.label is not None)
    drawn.moods = _flat(short(labelled, lambda row: (row.source, row.label), budget.dev))
    linked = (row for row in found.dev if row.links is not None)
    drawn.terms = _flat(short(linked, source, 3 * budget.dev))
    return drawn


def prepare(out: Path, backbone: Path, texts: Sequence[str], longest: int) -> Path:
    """A folder in `out` with what trainings on these texts begin with: the backbone without the pieces that no text
    uses, and its vectors of words. Nothing would move the vectors of other pieces, but every step would go over them.
    """
    ready = out / f"start-{sha256(''.join(texts).encode(errors='replace')).hexdigest()[:16]}"
    if not ready.is_dir():
        beside = ready.with_suffix(".part")
        beside.mkdir(parents=True, exist_ok=True)
        tokens = TextTokens(load_tokenizer(str(backbone)), longest)
        trimmed = trim(tokens, texts)
        _write_backbone(beside, backbone, trimmed, tokens.pad)
        trimmed.tokenizer.save(str(beside / "tokenizer.json"))
        beside.rename(ready)
    return ready


def _write_backbone(path: Path, backbone: Path, trimmed: Trimmed, pad: int) -> None:
    """The body, and its input vectors of whole words in the text form of word2vec."""
    model = Encoder.from_backbone(str(backbone), Body(layers=None, max_tokens=8))  # no text is read
    table = model.body.get_input_embeddings()  # type: ignore[operator]  # a PreTrainedModel
    kept = rows_of(table.weight.detach(), trimmed.kept)
    table.weight = nn.Parameter(kept)
    assert isinstance(model.config, PreTrainedConfig)
    model.config.vocab_size, model.config.pad_token_id = len(kept), trimmed.kept.index(pad)
    model.body.save_pretrained(path)  # type: ignore[operator]  # Module gives any attribute the type of a tensor too
    with (path / VECTORS).open("w", encoding="utf-8") as file:
        for piece, vector in zip(pieces_of(trimmed.tokenizer), kept.tolist(), strict=True):
            if piece.startswith(WORD_START) and len(piece) > 1 and " " not in piece:
                numbers = " ".join(f"{value:.3f}" for value in vector)
                file.write(f"{piece.removeprefix(WORD_START)} {numbers}\n")


def _short(examples: list[Example], tokens: TextTokens, longest: int, most: int) -> list[Example]:
    """The first by a draw that are not longer."""
    looked = sorted(examples, key=lambda example: draw("ablation " + example.text))[: SPARE * most]
    told = tokens.encode([example.text for example in looked])
    fits = [example for example, row in zip(looked, told, strict=True) if len(row.ids) <= longest]
    return fits[:most]


def _flat(parts: Iterable[Sequence[Example]]) -> list[Example]:
    return [example for part in parts for example in part]
