"""An alert's chart in Slack: a file in the thread of its message.

Protocol: docs.slack.dev/messaging/working-with-files (read 2026-11): `files.getUploadURLExternal` gives an address, the
bytes are posted there, `files.completeUploadExternal` shares them. Scope: files:write. The address is only followed to
the open internet, as every other.
"""

from collections.abc import Callable

from slack_sdk.web import SlackResponse, WebClient

from opinionwatch.alerts.escape import one_line, safe_url
from opinionwatch.alerts.post import Post
from opinionwatch.alerts.words import WORDS
from opinionwatch.pipeline.contracts_trend import Message
from opinionwatch.pipeline.errors import RetryableError

NAME = "chart.png"
Called = Callable[[Callable[[], SlackResponse]], SlackResponse]


def share(client: WebClient, called: Called, post: Post, channel: str, thread: str, message: Message) -> None:
    """Upload the chart into the thread. Raises RetryableError and RejectedError as `called` and `post` do."""
    png = message.chart_png or b""
    words = WORDS[message.lang].labels["chart"]
    begun = called(lambda: client.files_getUploadURLExternal(filename=NAME, length=len(png), alt_txt=words))
    address, file = safe_url(str(begun.get("upload_url", ""))), str(begun.get("file_id", ""))
    if address is None or not file:
        raise RetryableError("Slack has given no address to upload to")
    post(address, png, {"content-type": "image/png"})
    called(
        lambda: client.files_completeUploadExternal(
            files=[{"id": file, "title": one_line(message.title, 200)}], channel_id=channel, thread_ts=thread
        )
    )
