"""App Store: what customers write about an app, country by country."""

from collections.abc import Iterator

from pydantic import Field

from opinionwatch.connectors.api import Api
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings

PAGES = 10
"""The service has 50 reviews a page and no more than ten pages."""


class AppStore(Walking):
    """Read the newest customer reviews of an app from the App Store's feeds, one a country.

    Asks `/{country}/rss/customerreviews/page={n}/id={app}/sortby=mostrecent/json` of itunes.apple.com (Apple never
    documented it, and nothing dependable was found on 2026-11-26; fields from memory and secondary pages). In 2026 the
    feed is often empty or partial; what it does not show is not seen. 500 reviews a country at most: poll hourly. For
    your own apps Apple's App Store Connect API is the dependable way. Helpful votes (`im:voteSum`) are likes. Terms:
    Apple's media services terms.

    Delivery: at least once, of what the feed shows; reviews that no longer fitted are recorded as a gap. A review
    that its author has updated comes again under its id, as a later version. The feed tells no more than when a review
    was `updated`: that is its time, and a second later its version's, so none is known as never edited. A deletion is
    not seen.
    """

    kind = "appstore"

    class Settings(WalkingSettings):
        """Settings of an `appstore` source."""

        app: int = Field(gt=0, description="The app's number, as in apps.apple.com/app/id310633997.")
        countries: tuple[str, ...] = Field(
            default=("us",), min_length=1, max_length=175, description="Two-letter store codes: us, cn, gb."
        )
        interval_s: float = Field(default=3600.0, ge=60, le=86_400, description="Seconds between polls.")
        late_s: int = Field(default=86_400, ge=0, le=604_800, description="Seconds by which a review may appear late.")
        url: str = Field(default="https://itunes.apple.com", description="Address of the service.")

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, f"app {settings.app}", settings)
        self._app = settings.app
        self._countries = [country.lower() for country in settings.countries]
        self._api = Api(self._client, settings.url)

    def lanes(self) -> list[str]:
        """The countries."""
        return self._countries

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """One page of a country's reviews; `older` is its number."""
        del since
        page = int(older or 1)
        answer = self._api.get(f"{lane}/rss/customerreviews/page={page}/id={self._app}/sortby=mostrecent/json")
        answer = answer.demand("feed")
        # A feed of one review holds it bare, and the first entry may be the app itself.
        entries = answer.each("entry") or ([answer.at("entry")] if answer.there("entry") else [])
        reviews = [entry for entry in entries if entry.there("im:rating")]
        older = str(page + 1) if reviews and page < PAGES else None
        return Batch(list(_posts(lane, reviews)), older, cut=page == PAGES and bool(reviews))


def _posts(country: str, reviews: list[Found]) -> Iterator[Dated]:
    for review in reviews:
        key, text, at = review.text("id.label"), review.text("content.label"), review.seconds("updated.label")
        if key and text:
            entry = Entry(
                key,
                text,
                title=review.text("title.label"),
                author=review.text("author.name.label"),
                url=review.text("author.uri.label"),
                published_at=review.text("updated.label"),
                source=f"App Store {country.upper()}",
                edited_at=None if at is None else str(at + 1),
                likes=review.count("im:voteSum.label"),
            )
            yield Dated(at, entry)
