"""Which words made the model read a document as it does, on demand: the page of one document's attributions.

It takes about a second of one core, so one is made at a time and the last ones are kept. The texts are strangers':
templates escape every piece.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opinionwatch.pipeline.contracts import Label, Record, ScoredDocument, Span
from opinionwatch.pipeline.web_page import Pages

KEPT = 128
WAIT_S = 20.0
FAINT, STRENGTHS = 0.1, 4
"""Words below this share of the heaviest have no colour; the others one of so many shades."""


class Weight(Record):
    """A word and what it adds to the logit of the label."""

    span: Span
    weight: float


class Why(Record):
    """Why a text is read as it is."""

    label: Label
    probability: float
    words: tuple[Weight, ...]
    faithfulness: float
    """How much faster these words change the model's mind than others, on average; above 0 they are the right ones."""
    scorer: str
    watchlist: str | None = None
    """Towards what it is read so; None: as a whole."""


Explain = Callable[[ScoredDocument, str | None], Why]
"""Makes one, of what a document says of a watchlist or (None, or where it cannot tell) of the whole text. Raises
RetryableError when it cannot now.
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the text; `shade` from -4 (against the label) to 4 (for it)."""

    text: str
    shade: int


class WhyViews:
    """The page that explains a document."""

    def __init__(self, pages: Pages, explain: Explain) -> None:
        self._pages, self._explain = pages, explain
        self._kept: OrderedDict[tuple[str, int, str | None], Why] = OrderedDict()
        """By document, version and watchlist: an edited text has other words."""
        self._lock = Lock()

    def routes(self) -> list[Route]:
        """Where it is."""
        return [Route("/documents/{id}/why", self.why, name="why")]

    def why(self, request: Request) -> Response:
        """The document's text, coloured by what each word adds; with `?watchlist=`, to what is said of that one (404
        where nobody can tell). 503 while somebody else's takes too long.
        """
        scored, watchlist = self._pages.site.document(request.path_params["id"]), request.query_params.get("watchlist")
        if watchlist is not None and all(each.watchlist != watchlist or not each.sentiment for each in scored.matches):
            raise HTTPException(404)
        found = self._made(scored, watchlist)
        text = scored.document.text
        return self._pages.page(request, "why.html", scored=scored, why=found, stretches=stretches(text, found.words))

    def _made(self, scored: ScoredDocument, watchlist: str | None = None) -> Why:
        if not self._lock.acquire(timeout=WAIT_S):
            raise HTTPException(503, headers={"retry-after": "5"})
        try:
            key = scored.id, scored.document.version, watchlist
            if key not in self._kept:
                self._kept[key] = self._explain(scored, watchlist)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]
        finally:
            self._lock.release()


def stretches(text: str, words: Sequence[Weight]) -> list[Stretch]:
    """The whole text in pieces with a shade each. Spans outside of it, or over one another, are ignored.

    >>> stretches("bad day", [Weight(span=(0, 3), weight=2.0), Weight(span=(4, 7), weight=-0.5)])
    [Stretch(text='bad', shade=4), Stretch(text=' ', shade=0), Stretch(text='day', shade=-1)]
    """
    most = max((abs(word.weight) for word in words), default=0.0)
    pieces: list[Stretch] = []
    at = 0
    for word in sorted(words, key=lambda word: word.span):
        begin, end = word.span
        if not at <= begin < end <= len(text):
            continue
        share = abs(word.weight) / most if most else 0.0
        shade = 0 if share < FAINT else max(1, round(share * STRENGTHS))
        pieces += [Stretch(text[at:begin], 0), Stretch(text[begin:end], shade if word.weight > 0 else -shade)]
        at = end
    return [piece for piece in (*pieces, Stretch(text[at:], 0)) if piece.text]
