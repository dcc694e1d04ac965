"""What comes from outside becomes a document, or a dead letter that hides what is personal."""

import json
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest

from opinionwatch.pipeline.accept import Accept, Arrival, safe_url
from opinionwatch.pipeline.contracts import DeadLetter, Document, content_id
from opinionwatch.pipeline.contracts_changes import Deletion
from opinionwatch.pipeline.ports import Item
from opinionwatch.pipeline.settings import Limits

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def arrival(body: bytes, arrived_at: datetime | None = None, fields: tuple[tuple[str, str], ...] = ()) -> Arrival:
    return Arrival("forum", "jsonl", "posts.jsonl", Item(body, arrived_at, fields))


def outcome(body: bytes, **options: int) -> Document | DeadLetter:
    [found] = Accept(Limits(**options), "default", b"key")([arrival(body)], NOW)
    assert not isinstance(found, Deletion)
    return found


def document(*, text: str = "fine", **fields: object) -> Document:
    found = outcome(json.dumps({"native_id": "1", "text": text, **fields}).encode(), text_chars=1000)
    assert isinstance(found, Document)
    return found


def letter(body: bytes) -> DeadLetter:
    found = outcome(body, record_bytes=100_000)
    assert isinstance(found, DeadLetter)
    return found


def test_a_document_is_named_by_tenant_kind_instance_and_native_id() -> None:
    assert document().id == content_id("default", "jsonl", "posts.jsonl", "1")


def test_a_title_is_the_first_line_unless_the_text_says_it_already() -> None:
    assert document(text="body", title="A\n title").text == "A title\nbody"
    assert document(text="A title, and more", title="A title").text == "A title, and more"
    assert document(text=" ", title="only a title").text == "only a title"


def test_the_source_within_a_feed_is_the_source_people_read() -> None:
    assert document(source=" r/phones\n").source == "r/phones"
    assert document().source == "forum"


def test_authors_become_pseudonyms_by_tenant_key_and_kind() -> None:
    accept, other = Accept(Limits(), "default", b"key"), Accept(Limits(), "default", b"other")
    name = accept.pseudonym("rss", "Ann")
    assert name is not None
    assert len(name) == 16
    assert int(name, 16)
    assert name == accept.pseudonym("rss", " ａｎｎ ")
    assert (
        len({name, accept.pseudonym("web", "Ann"), other.pseudonym("rss", "Ann"), accept.pseudonym("rss", "Bob")}) == 4
    )
    assert Accept(Limits(), "b", b"key").pseudonym("rss", "Ann") != name
    assert accept.pseudonym("rss", " ") is None


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        (None, ("no_time",)),
        (NOW + timedelta(minutes=5, seconds=1), ("future_time",)),
        (NOW + timedelta(hours=14), ("future_time",)),
        (NOW + timedelta(days=1, seconds=1), ("future_time", "history")),
        (datetime(1989, 12, 31, tzinfo=UTC), ("ancient_time", "history")),
    ],
)
def test_absurd_times_become_the_time_of_acceptance(given: datetime | None, flags: tuple[str, ...]) -> None:
    found = document(published_at=given.isoformat() if given else None)
    assert found.published_at == found.accepted_at == NOW
    assert found.flags == flags


def test_a_clock_a_little_ahead_is_believed() -> None:
    ahead = NOW + timedelta(minutes=5)
    found = document(published_at=ahead.isoformat())
    assert (found.published_at, found.flags) == (ahead, ())


def test_a_replay_is_accepted_at_its_own_time() -> None:
    then = datetime(2020, 1, 1, tzinfo=UTC)
    accept = Accept(Limits(), "default", b"key")
    good, bad = accept(
        [arrival(b'{"native_id":1,"text":"x","published_at":"2021-01-01"}', then), arrival(b"?", then)], NOW
    )
    assert isinstance(good, Document)
    assert (good.accepted_at, good.published_at) == (then, then)
    assert "future_time" in good.flags
    assert bad.accepted_at == then


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.com/a?b=1#c", "https://example.com/a?b=1#c"),
        (" http://例子.中国/路 ", "http://例子.中国/路"),
        ("https://example.com/?mail=a%40b.com", "https://example.com/"),
        ("https://me:pw@example.com/", None),
        ("https://me@example.com/", None),
        ("javascript:alert(1)", None),
        ("JAVASCRIPT:alert(1)", None),
        ("data:text/html,x", None),
        ("//example.com/", None),
        ("https://", None),
        ("http://[::1", None),
        ('https://example.com/"onclick=x', None),
        ("https://example.com/<script>", None),
        ("java\nscript:alert(1)", None),
        ("https://exa\nmple.com", None),
        ("", None),
    ],
)
def test_only_addresses_that_a_page_may_link_to_are_kept(url: str, kept: str | None) -> None:
    assert safe_url(url) == kept


@pytest.mark.parametrize(("given", "kept"), [("zh_CN", "zh-CN"), ("en", "en"), ("English!", None), ("", None)])
def test_a_declared_language_is_kept_where_it_is_a_tag(given: str, kept: str | None) -> None:
    assert document(lang=given).declared_lang == kept


def test_personal_data_is_masked_in_title_text_and_source() -> None:
    found = document(text="call 13812345678", title="from a@b.com", source="a@b.com")
    assert found.text == "from [email]\ncall [phone]"
    assert found.source == "[email]"
    assert "masked" in found.flags


def test_no_half_of_a_number_survives_the_cut() -> None:
    for lead in range(940, 1060):
        found = document(text="x" * lead + " 13812345678 " + "y" * 100)
        assert "138" not in found.text
        assert len(found.text) <= 1000
        assert "truncated" in found.flags


def test_a_text_of_exactly_the_limit_is_whole() -> None:
    assert document(text="x" * 1000).flags == ("no_time",)
    assert document(text="x" * 1001).flags == ("truncated", "no_time")
    assert len(document(text="x" * 1001).text) <= 1000


def test_a_dead_letter_is_named_by_its_native_id_or_else_by_its_bytes() -> None:
    assert letter(b'{"native_id":"7"}').id == content_id("default", "jsonl", "posts.jsonl", "7")
    assert letter(b"one").id != letter(b"two").id
    assert letter(b"one").id == letter(b"one").id


def test_a_dead_letter_keeps_its_bytes_as_one_line_of_masked_text() -> None:
    body = '{"native_id":"7","author":"Ann \\"A\\"","phone":"13812345678","x":"\\u4e0013812345678","m":"a\\u0040b.com"}'
    raw = letter(body.encode()).raw
    assert "Ann" not in raw
    assert raw.count("[phone]") == 2
    assert "[email]" in raw
    assert '"native_id":"7"' in raw
    assert letter(b"a\nb\xff\0\xe2\x80\xae").raw == "a b\\xff\\x00\\u202e"


def test_a_dead_letter_keeps_its_headers_and_who_buried_it() -> None:
    given = (("trace", b"7f"), ("sent-by", b"ann@example.org"), ("authorization", b"Bearer hunter2"))
    accept = Accept(Limits(), "default", b"key")
    [found] = accept([Arrival("forum", "kafka", "posts", Item(b"no json", headers=given))], NOW)
    assert isinstance(found, DeadLetter)
    assert found.headers == (("trace", "7f"), ("sent-by", "[email]"), ("authorization", "[hidden]"))
    assert (found.program, found.scorer) == (version("opinionwatch"), None)


def test_a_dead_letter_keeps_its_json_whole() -> None:
    body = json.dumps({"native_id": "7", "a": 'quote " slash \\ \\u0041 \n tab\t', "emoji": "😡", "lone": "\ud800"})
    assert json.loads(letter(body.encode()).raw) == json.loads(body)
    pretty = json.dumps({"native_id": "7", "a": [1, 2]}, indent="\t").replace("\n", "\r\n")
    assert json.loads(letter(pretty.encode()).raw) == json.loads(pretty)


def test_a_dead_letters_author_stays_the_same_voice_within_its_letters() -> None:
    fields = (("author", "user.handle"), ("native_id", "id"))
    accept = Accept(Limits(), "default", b"key")
    (found,) = accept([arrival(b'{"id":"1","user":{"handle": "Ann"}}', fields=fields)], NOW)
    assert isinstance(found, DeadLetter)
    assert found.raw == f'{{"id":"1","user":{{"handle": "{accept.pseudonym("jsonl", "Ann")}"}}}}'
    assert found.fields == fields
    (found,) = accept([arrival(b'{"id":"1","user":{"handle":42}}', fields=fields)], NOW)
    assert isinstance(found, DeadLetter)
    assert f'"handle":"{accept.pseudonym("jsonl", "42")}"' in found.raw


def test_a_long_dead_letter_is_cut_without_half_of_a_number() -> None:
    for lead in (4070, 4085, 4090, 8180, 8190):
        raw = letter(b"x" * lead + b" 13812345678 " + b"y" * 9000).raw
        assert len(raw) <= 4096
        assert "138" not in raw


def test_a_text_that_is_only_a_title_counts() -> None:
    assert document(text="", title="news").text == "news"


def test_an_edit_says_when_a_deletion_says_which_and_figures_say_how_many() -> None:
    def told(**fields: object) -> Document:
        return document(text="fine", published_at="2024-03-04T08:00:00Z", **fields)

    edited = told(edited_at="2024-03-04T09:00:00Z", likes="12", reposts=-1, replies="many")
    assert edited.edited_at == datetime(2024, 3, 4, 9, tzinfo=UTC)
    assert edited.engagement is not None
    assert (edited.engagement.likes, edited.engagement.reposts, edited.engagement.replies) == (12, None, None)
    assert told(edited_at="2024-03-04T08:00:00Z").edited_at is None, "an edit is later than its text"
    assert told(edited_at=False).edited_at is None
    assert told(edited_at="2999-01-01").edited_at == told().accepted_at
    body = b'{"native_id": "1", "deleted": true}'
    [gone] = Accept(Limits(), "default", b"key")([arrival(body)], NOW)
    assert isinstance(gone, Deletion)
    assert gone.id == document(native_id="1").id
