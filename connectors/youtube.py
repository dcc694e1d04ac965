"""YouTube: comments under videos, or under everything of a channel."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from opinionwatch.connectors.api import Api, Param, secret
from opinionwatch.connectors.entry import Entry
from opinionwatch.connectors.found import Found
from opinionwatch.connectors.http import RefusedError
from opinionwatch.connectors.polling import until_midnight_s
from opinionwatch.connectors.walking import Batch, Dated, Walking, WalkingSettings
from opinionwatch.pipeline.errors import RetryableError

_NEWEST: Mapping[str, Param] = {"part": "snippet,replies", "order": "time", "textFormat": "plainText"}
_MOST = 100
_SPENT = (b"quotaExceeded", b"dailyLimitExceeded")
_SHUT = (b"commentsDisabled", b"videoNotFound", b"channelNotFound")
_PACIFIC = ZoneInfo("America/Los_Angeles")


class YouTube(Walking):
    """Read comments, and the replies that come with them, under videos or under all videos of channels.

    Asks `commentThreads.list` of the YouTube Data API v3, by time
    (https://developers.google.com/youtube/v3/docs/commentThreads/list and …/docs/errors, read 2026-11-26;
    `dailyLimitExceeded`, which older keys get, from memory). Each request is one unit of a day's 10,000, which begins
    at midnight in California; when it is spent the source rests until then. An answer holds at most five replies a
    comment; later replies are not seen. Terms: YouTube API services; data must be refreshed or deleted after 30 days,
    so keep the retention below that.

    Delivery: at least once. A video whose comments are closed or which is gone brings nothing; the others go on. An
    edit (`updatedAt`) is seen within `late_s` of the publication, a deletion never.
    """

    kind = "youtube"

    class Settings(WalkingSettings):
        """Settings of a `youtube` source."""

        videos: tuple[str, ...] = Field(default=(), max_length=200, description="Ids of videos: dQw4w9WgXcQ.")
        channels: tuple[str, ...] = Field(default=(), max_length=50, description="Ids of channels: UC….")
        key_file: Path = Field(description="File whose first line is an API key.")
        interval_s: float = Field(default=900.0, ge=60, le=86_400, description="Seconds between polls.")
        url: str = Field(default="https://www.googleapis.com/youtube/v3", description="Address of the service.")

        @model_validator(mode="after")
        def _asks_for_something(self) -> Self:
            if not self.videos and not self.channels:
                raise ValueError("name at least one video or channel")
            return self

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, "youtube.com", settings)
        self._given = settings
        key = secret(name, settings.key_file, "key_file")
        self._api = Api(self._client, settings.url, always={**_NEWEST, "key": key})

    def lanes(self) -> list[str]:
        """Videos and channels."""
        videos = [f"videoId {video}" for video in self._given.videos]
        return videos + [f"allThreadsRelatedToChannelId {channel}" for channel in self._given.channels]

    def ask(self, lane: str, older: str | None, since: int) -> Batch:
        """A page of comments; `older` is its token."""
        del since
        of, _, key = lane.partition(" ")
        try:
            answer = self._api.get("commentThreads", pageToken=older, maxResults=_MOST, **{of: key})
        except RefusedError as error:
            if any(reason in error.said for reason in _SPENT):
                raise RetryableError(f"{error}: the day's quota is spent", until_midnight_s(_PACIFIC)) from error
            if any(reason in error.said for reason in _SHUT):
                return Batch([], None)
            if older is not None and b"invalidPageToken" in error.said:
                return self.ask(lane, None, 0)  # too old to go on: from the top again, ids are remembered downstream
            raise
        threads = answer.list("items")
        reached = threads[-1].seconds("snippet.topLevelComment.snippet.publishedAt") if threads else None
        return Batch(list(_posts(threads)), answer.text("nextPageToken"), reached)


def _posts(threads: list[Found]) -> Iterator[Dated]:
    for thread in threads:
        top = thread.at("snippet.topLevelComment")
        for comment in [top, *thread.each("replies.comments")]:
            key, said = comment.text("id"), comment.at("snippet")
            text = said.text("textOriginal") or said.text("textDisplay")
            if key and text:
                video = said.text("videoId") or thread.text("snippet.videoId")
                entry = Entry(
                    key,
                    text,
                    author=said.text("authorChannelId.value") or said.text("authorDisplayName"),
                    url=f"https://www.youtube.com/watch?v={video}&lc={key}" if video else None,
                    published_at=said.text("publishedAt"),
                    edited_at=said.text("updatedAt"),
                    likes=said.count("likeCount"),
                    replies=thread.count("snippet.totalReplyCount") if comment is top else None,
                )
                yield Dated(said.seconds("publishedAt"), entry)
