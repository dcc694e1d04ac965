"""The demo's words: the hand-written sentences of `written/*.tsv`, rendered into posts.

A deck a brand, language and scene is shuffled and dealt to its end before a sentence comes again, so moods keep their
proportions and repeats stay far apart. Slots, openers, closers and a second sentence of the same mood make repeats
differ. Every post names its brand: where the sentence does not, a hashtag or mention does.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Annotated, Literal, get_args

import yaml
from pydantic import Field, TypeAdapter

from opinionwatch.pipeline.contracts import Label, Record

Lang = Literal["en", "zh"]
Scene = Literal["usual", "crisis", "launch", "storm"]
LANGS: tuple[Lang, ...] = get_args(Lang)
FOLDER = Path(__file__).with_name("written")
SLOT = re.compile(r"\{(brand|model|price|city|hours)\}")
SECOND: dict[Scene, float] = {"usual": 0.12, "crisis": 0.5, "launch": 0.35, "storm": 0.0}
"""How often a post says two things: most where sentences repeat most."""

Words = dict[Lang, tuple[str, ...]]
MoodWords = dict[Lang, dict[Label, tuple[str, ...]]]


class Brand(Record):
    """How people write a brand, its products and prices; a name repeated is a name used more often."""

    names: Words
    price: Words
    model: Words = Field(default_factory=dict)


class HandleParts(Record):
    """Halves of authors' handles."""

    first: tuple[str, ...]
    second: tuple[str, ...]


class World(Record):
    """What `written/world.yaml` holds."""

    brands: dict[str, Brand]
    city: Words
    hours: Words
    tags: Words
    openers: MoodWords
    closers: MoodWords
    handles: dict[Lang, HandleParts]
    reposts: Words


class Sentence(Record):
    """One line of the corpus, with its true mood and aspect."""

    scene: Scene
    tone: Label
    aspect: str
    text: Annotated[str, Field(validation_alias="sentence")]


@dataclass(frozen=True, slots=True)
class Rendering:
    """A sentence as somebody posts it."""

    text: str
    tone: Label
    aspect: str


@cache
def world() -> World:
    """The words around the sentences."""
    return TypeAdapter(World).validate_python(yaml.safe_load((FOLDER / "world.yaml").read_text(encoding="utf-8")))


@cache
def corpus(brand: str, lang: Lang) -> tuple[Sentence, ...]:
    """All sentences about a brand in one language."""
    lines = (FOLDER / f"{brand.lower()}_{lang}.tsv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    return tuple(Sentence.model_validate(dict(zip(header, line.split("\t"), strict=True))) for line in lines[1:])


class Writer:
    """Writes posts: deals sentences and dresses them, all from one seeded generator."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._decks: dict[tuple[str, Lang, Scene], list[Sentence]] = {}

    def write(self, brand: str, lang: Lang, scene: Scene) -> Rendering:
        """The next post about `brand` in that scene."""
        rng, words = self._rng, world()
        sentence = self._deal(brand, lang, scene)
        text = self._fill(sentence.text, brand, lang)
        if rng.random() < SECOND[scene]:
            more = [other for other in self._scene(brand, lang, scene) if other.tone == sentence.tone]
            other = rng.choice([other for other in more if other != sentence])
            text += (" " if lang == "en" else "") + self._fill(other.text, brand, lang)
        if rng.random() < 0.35:
            text = rng.choice(words.openers[lang][sentence.tone]) + text
        if rng.random() < 0.45:
            text += rng.choice(words.closers[lang][sentence.tone])
        names = words.brands[brand].names[lang]
        if not any(name in text for name in names):
            text = rng.choice(words.tags[lang]).format(brand=rng.choice(names)) + text
        return Rendering(text, sentence.tone, sentence.aspect)

    def handle(self, lang: Lang) -> str:
        """A new author's handle; with four digits at the end there are millions."""
        parts = world().handles[lang]
        return f"{self._rng.choice(parts.first)}{self._rng.choice(parts.second)}{self._rng.randrange(10_000)}"

    def repost(self, text: str, author: str, lang: Lang) -> str:
        """The same text passed on, with the small edits of people in a hurry."""
        return self._rng.choice(world().reposts[lang]).format(author=author, text=text)

    def _scene(self, brand: str, lang: Lang, scene: Scene) -> list[Sentence]:
        return [sentence for sentence in corpus(brand, lang) if sentence.scene == scene]

    def _deal(self, brand: str, lang: Lang, scene: Scene) -> Sentence:
        deck = self._decks.setdefault((brand, lang, scene), [])
        if not deck:
            deck.extend(self._scene(brand, lang, scene))
            self._rng.shuffle(deck)
        return deck.pop()

    def _fill(self, sentence: str, brand: str, lang: Lang) -> str:
        known = world().brands[brand]
        choices = {
            "brand": known.names,
            "model": known.model,
            "price": known.price,
            "city": world().city,
            "hours": world().hours,
        }
        return SLOT.sub(lambda slot: self._rng.choice(choices[slot[1]][lang]), sentence)
