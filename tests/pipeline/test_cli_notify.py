"""A digest by hand: printed or sent, and with a word where it cannot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opinionwatch.pipeline.store_sqlite import SqliteStore
from tests.alerts.sample import crisis, windows
from tests.alerts.smtp_stub import SmtpStub, smtp_stub
from tests.pipeline.command import Command

CONFIG = """
data_dir: data
scorer: {{kind: lexicon}}
watchlists: [{{id: lumora, name: Lumora, names: [Lumora]}}]
channels:
  - {{name: mail, kind: email, host: 127.0.0.1, port: {port}, security: none, sender: a@watch.example,
      recipients: [b@desk.example]}}
notify: {{digests: [{{name: morning, channel: mail}}, {{name: weekly, channel: mail, every: week, language: zh}}]}}
"""


@pytest.fixture
def mailbox(command: Command) -> Iterator[SmtpStub]:
    """Settings in the working folder, a store with an open story, and a mail server that they name."""
    del command
    with smtp_stub() as stub:
        Path("opinionwatch.yaml").write_text(CONFIG.format(port=stub.port))
        store = SqliteStore(Path("data/opinionwatch.db"))
        with store.transaction():
            store.write([*windows(), crisis().episode])
        store.close()
        yield stub


def test_a_dry_run_prints_the_last_day_and_sends_nothing(command: Command, mailbox: SmtpStub) -> None:
    ended = command("notify", "digest", "morning", "--dry-run")
    assert ended.code == 0
    assert "Daily digest: one story about Lumora" in ended.out
    assert "not over yet" in ended.out
    assert "每周摘要" in command("notify", "digest", "weekly", "--dry-run", "--now").out
    assert mailbox.mails == []


def test_it_is_sent_as_often_as_somebody_asks(command: Command, mailbox: SmtpStub) -> None:
    for _ in range(2):
        ended = command("notify", "digest", "morning")
        assert ended.code == 0
        assert "mail took the digest" in ended.said
    assert [mail["Subject"] for mail in mailbox.mails] == ["[opinionwatch] Daily digest: one story about Lumora"] * 2


def test_a_refusal_is_a_finding_and_an_unknown_name_has_the_nearest(command: Command, mailbox: SmtpStub) -> None:
    mailbox.data = ["554 no"]
    refused = command("notify", "digest", "morning")
    assert refused.code == 1
    assert "mail did not take it: channel_refused: the mail server answered 554 no" in refused.said
    unknown = command("notify", "digest", "mornin")
    assert unknown.code == 2
    assert "did you mean 'morning'?" in unknown.said
