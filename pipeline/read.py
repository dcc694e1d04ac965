"""The first stage of the score hop: which language a text is in, its folded form, and its fingerprint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from opinionwatch.pipeline.contracts import Document
from opinionwatch.pipeline.fingerprint import fingerprint
from opinionwatch.pipeline.fold import Folded, fold

UNKNOWN = "und"


class Language(NamedTuple):
    """A BCP-47 primary tag, and how sure we are."""

    tag: str
    confidence: float


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document and what was read off it. Lives only inside the score hop."""

    document: Document
    folded: Folded
    language: Language
    fingerprint: str


_SCRIPTS = re.compile(
    r"(?P<han>[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)|(?P<kana>[\u3041-\u30fa\u31f0-\u31ff]+)"
    r"|(?P<hangul>[\uac00-\ud7af\u1100-\u11ff]+)|(?P<cyrillic>[\u0400-\u052f]+)|(?P<arabic>[\u0600-\u06ff]+)"
    r"|(?P<greek>[\u0370-\u03ff]+)|(?P<hebrew>[\u0590-\u05ff]+)|(?P<devanagari>[\u0900-\u097f]+)"
    r"|(?P<thai>[\u0e00-\u0e7f]+)|(?P<latin>[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+)"
)
_DENSE = ("han", "kana", "hangul", "thai")
"""Scripts written without blanks, or in syllables: a character weighs two thirds of a word."""
_BY_SCRIPT = {"greek": "el", "hebrew": "he", "thai": "th", "hangul": "ko", "kana": "ja"}
_AMONG = {
    "latin": "en es fr de it pt nl sv da no fi pl cs sk hu ro tr id vi tl hr sl lt et ca",
    "cyrillic": "ru uk bg sr be mk kk",
    "arabic": "ar fa ur ku ps ug",
    "devanagari": "hi mr ne",
}
_ADDRESSES = re.compile(r"https?://\S+|[@#]\w+")
# Frequent in English, rare in every other language of Latin script.
_FREQUENT = (
    "the and you your this that with has had were are isn't they their them not but from just what when why how who"
    " would could should can't don't doesn't didn't won't my its it's i'm i've we our being really than then there much"
    " more never ever again after before about out got because worst great terrible awful love hate battery phone"
)
_ENGLISH = frozenset(_FREQUENT.split())
_SURE = 0.55


def language(text: str, declared: str | None = None) -> Language:
    """Identify the language of a folded text. Scripts decide first; among the Latin ones py3langid does.

    Where a short Latin text leaves it open, the source's own word counts, and else it is taken for English.
    """
    weights: dict[str, int] = {}
    for found in _SCRIPTS.finditer(_ADDRESSES.sub(" ", text[:1000])):
        script = found.lastgroup or ""
        weights[script] = weights.get(script, 0) + (2 * len(found[0]) if script in _DENSE else 3)
    if not weights:
        return Language(_primary(declared) or UNKNOWN, 0.0)
    han, kana = weights.pop("han", 0), weights.get("kana", 0)
    if han and 8 * kana >= han:
        weights["kana"] = han + kana
    elif han:
        weights["han"] = han
        weights.pop("kana", None)
    script = max(weights, key=lambda name: weights[name])
    share = weights[script] / sum(weights.values())
    if script == "han":
        return Language("zh", round(share, 3))
    if script in _BY_SCRIPT:
        return Language(_BY_SCRIPT[script], round(share, 3))
    if script == "latin":
        return _latin(text, declared)
    return _ask(script, text)


def _latin(text: str, declared: str | None) -> Language:
    words = _ADDRESSES.sub(" ", text[:1000]).replace("’", "'").lower().split()
    hits = sum(word.strip('.,!?;:"()') in _ENGLISH for word in words)
    if hits >= 2 and 5 * hits >= len(words):
        return Language("en", 0.95)
    found = _ask("latin", text)
    if found.confidence >= _SURE:
        return found
    return Language(_primary(declared) or "en", found.confidence)


def _ask(script: str, text: str) -> Language:
    tag, confidence = _identifier(script).classify(_ADDRESSES.sub(" ", text[:1000]).lower())
    return Language(tag, round(float(confidence), 3))


@lru_cache
def _identifier(script: str) -> LanguageIdentifier:
    """Loaded at first use: 0.4 s."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(_AMONG[script].split())
    return identifier


def _primary(tag: str | None) -> str | None:
    return tag.partition("-")[0].lower() if tag else None


class Read:
    """A stage from `Document` to `ReadDocument`; it refuses nothing."""

    def __call__(self, batch: Sequence[Document], now: datetime) -> list[ReadDocument]:
        """Read a batch; the result has the batch's order."""
        del now
        return [self._read(document) for document in batch]

    @staticmethod
    def _read(document: Document) -> ReadDocument:
        folded = fold(document.text)
        if folded.obfuscated and "obfuscated" not in document.flags:
            document = document.model_copy(update={"flags": (*document.flags, "obfuscated")})
        return ReadDocument(document, folded, language(folded.text, document.declared_lang), fingerprint(folded))
