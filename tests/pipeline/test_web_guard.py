"""Who may read the page, what every answer carries, and what forms need to be believed."""

from pathlib import Path
from time import time

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from opinionwatch.pipeline import web_access
from opinionwatch.pipeline.archive_sqlite import SqliteArchive
from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.settings import Web
from opinionwatch.pipeline.web import check_exposure
from opinionwatch.pipeline.web_access import Access
from tests.pipeline.web_client import VIEWS, address, client, open_store, sample

TOKEN = "correct-horse-battery-staple"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def guarded(tmp_path: Path) -> Web:
    (tmp_path / "token").write_text(TOKEN + "\n")
    return Web(host="0.0.0.0", token_file=tmp_path / "token")  # noqa: S104 - never bound here


def everywhere() -> list[str]:
    return [*(address(view) for view in VIEWS), "/api/health", "/api/openapi.json", "/live", "/metrics", "/login"]


def test_every_answer_carries_the_security_headers() -> None:
    visitor = client()
    for path in (*(address(view) for view in VIEWS), "/nothing", "/api/health", "/static/app.css", "/healthz"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self';") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy and "form-action 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"].startswith("public" if "/static/" in path else "no-store")


def test_a_page_that_others_can_reach_needs_a_token(tmp_path: Path, guarded: Web) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7", "example.org"):  # noqa: S104 - refused
        with pytest.raises(SettingsError, match=r"web\.token_file"):
            check_exposure(Web(host=host))
    for host in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"):
        check_exposure(Web(host=host))
    check_exposure(guarded)


@pytest.mark.parametrize(
    "content", [None, b"", b"  \n", b"short", b"\xff\xfe" * 20, "令牌令牌令牌令牌令牌令牌令牌令牌令".encode()]
)
def test_a_token_file_without_a_proper_token_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError, match=r"web\.token_file"):
        check_exposure(Web(token_file=tmp_path / "token"))
    with pytest.raises(SettingsError, match=r"web\.token_file"):
        client(web=Web(token_file=tmp_path / "token"))


def test_without_the_token_nothing_is_shown(guarded: Web) -> None:
    visitor = client(web=guarded)
    for path in everywhere()[:-1]:
        answer = visitor.get(path)
        assert answer.status_code == 401
        assert "Lumora" not in answer.text
        assert answer.headers["www-authenticate"] == "Bearer"
        assert visitor.post(path).status_code == 401
    assert visitor.get("/feed", headers={"accept": "text/html"}).headers["location"] == "/login?next=/feed"
    assert visitor.get("/api/health", headers={"accept": "text/html"}).status_code == 401


def test_without_the_token_only_the_door_and_one_word_for_supervisors_answer(guarded: Web) -> None:
    visitor = client(web=guarded)
    assert visitor.get("/healthz").text == "ok\n"
    assert visitor.get("/readyz").text == "ready\n"
    assert visitor.get("/static/app.css").status_code == 200
    door = visitor.get("/login")
    assert door.status_code == 200 and "Access token" in door.text and "Lumora" not in door.text


def test_a_bearer_token_opens_everything(guarded: Web) -> None:
    visitor = client(web=guarded)
    for path in (*(address(view) for view in VIEWS), "/api/health"):
        assert visitor.get(path, headers=BEARER).status_code == 200
    for wrong in ("Bearer nope", "Bearer", "Basic abc", f"Bearer {TOKEN}x", "Bearer 令牌"):
        assert client(web=guarded).get("/", headers={b"authorization": wrong.encode()}).status_code == 401


def enter(visitor: TestClient, token: str, goal: str = "/feed") -> int:
    visitor.get("/login")
    fields = {"token": token, "next": goal, "form_token": visitor.cookies["ow_form"]}
    return visitor.post("/login", data=fields).status_code


def test_the_login_form_gives_a_session_that_logging_out_ends(guarded: Web) -> None:
    visitor = client(web=guarded)
    assert enter(visitor, TOKEN) == 303
    assert visitor.get("/").status_code == 200
    assert visitor.get("/api/health").status_code == 200
    assert visitor.post("/logout", data={"form_token": visitor.cookies["ow_form"]}).status_code == 303
    assert visitor.get("/").status_code == 401


def test_the_session_cookie_is_for_this_site_and_no_script(guarded: Web) -> None:
    visitor = client(web=guarded.model_copy(update={"public_url": "https://watch.example"}))
    visitor.get("/login")
    fields = {"token": TOKEN, "form_token": visitor.cookies.get("ow_form", "")}
    cookie = {"cookie": f"ow_form={fields['form_token']}"}
    issued = visitor.get("/login").headers["set-cookie"]
    token = issued.split("=", 1)[1].split(";")[0]
    cookie = {"cookie": f"ow_form={token}"}
    answer = visitor.post("/login", data={"token": TOKEN, "form_token": token}, headers=cookie)
    for header in (issued, answer.headers["set-cookie"]):
        assert "HttpOnly" in header and "SameSite=strict" in header and "Secure" in header


def test_a_forged_or_foreign_session_opens_nothing(guarded: Web, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("another-token-altogether")
    other = Access(Web(token_file=tmp_path / "other"))
    for cookie in (other.session(), "99999999999.", "99999999999." + "0" * 64, ".", "x.y", "²." + "0" * 64):
        answer = client(web=guarded).get("/", headers={b"cookie": f"ow_session={cookie}".encode()})
        assert answer.status_code == 401


def test_a_session_ends_after_twelve_hours(guarded: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(guarded)
    session = access.session()
    begun = time()
    for hours, valid in ((0, True), (11.9, True), (12.1, False)):
        monkeypatch.setattr(web_access, "time", lambda hours=hours: begun + hours * 3600)
        assert access.is_session(session) is valid


def test_wrong_tokens_have_to_wait(guarded: Web) -> None:
    visitor = client(web=guarded)
    assert [enter(visitor, "a-wrong-token-indeed") for _ in range(6)] == [403] * 5 + [429]
    assert enter(visitor, TOKEN) == 429
    assert visitor.get("/", headers={"authorization": "Bearer guess"}).status_code == 429


@pytest.mark.parametrize("goal", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_logging_in_leads_only_to_pages_of_ours(guarded: Web, goal: str) -> None:
    visitor = client(web=guarded)
    visitor.get("/login")
    fields = {"token": TOKEN, "next": goal, "form_token": visitor.cookies["ow_form"]}
    assert visitor.post("/login", data=fields).headers["location"] == "/"


def test_extra_routes_are_behind_the_token_unless_they_check_signatures_themselves(guarded: Web) -> None:
    def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse("answered")

    routes = [Route("/metrics", answer), Route("/hooks/shop", answer, methods=["POST"])]
    visitor = client(web=guarded, routes=routes)
    assert visitor.get("/metrics").status_code == 401
    assert visitor.get("/metrics", headers=BEARER).text == "answered"
    assert visitor.post("/hooks/shop").text == "answered"


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "169.254.169.254", "", "[::1", "x:y:z"])
def test_a_foreign_name_for_this_machine_reads_nothing(name: str) -> None:
    answer = client().get("/", headers={"host": name})
    assert answer.status_code == 421 and "Lumora" not in answer.text
    for own in ("localhost:8765", "127.0.0.1:8765", "[::1]:8765"):
        assert client().get("/", headers={"host": own}).status_code == 200
    public = Web(public_url="https://watch.example/mood")
    assert client(web=public).get("/", headers={"host": "watch.example"}).status_code == 200


@pytest.fixture
def own(tmp_path: Path) -> SqliteArchive:
    return open_store(tmp_path)


def wish(visitor: TestClient, **changes: str) -> dict[str, str]:
    visitor.get("/silences")
    token = visitor.cookies["ow_form"]
    return {"form_token": token, "watchlist": "lumora", "hours": "4", "comment": "known recall", **changes}


def test_a_form_without_the_token_of_its_browser_changes_nothing(own: SqliteArchive) -> None:
    visitor = client(own)
    for fields in (wish(visitor, form_token=""), wish(visitor, form_token="x" * 43), wish(visitor, form_token="令牌")):
        answer = visitor.post("/silences", data=fields)
        assert answer.status_code == 403 and "reload the page" in answer.text
    fields = wish(visitor)
    assert client(own).post("/silences", data=fields).status_code == 403
    assert visitor.post("/silences", data=fields, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert own.silences() == []


def test_a_form_from_our_own_page_is_believed(own: SqliteArchive) -> None:
    visitor = client(own)
    answer = visitor.post("/silences", data=wish(visitor), headers={"sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/silences?done=silence_stored")
    [silence] = own.silences()
    assert (silence.watchlist, silence.created_by) == ("lumora", "somebody on the page")
    assert "Silence stored." in visitor.get(answer.headers["location"]).text
    assert "silenced until 8 Mar 20:30 UTC" in visitor.get("/").text


def test_a_silence_can_be_ended_and_stays_on_record(own: SqliteArchive) -> None:
    visitor = client(own)
    visitor.post("/silences", data=wish(visitor, watchlist=""))
    [silence] = own.silences()
    assert silence.watchlist is None
    answer = visitor.post(f"/silences/{silence.id}/end", data={"form_token": visitor.cookies["ow_form"]})
    assert answer.headers["location"] == "/silences?done=silence_ended"
    [ended] = own.silences()
    assert ended.ends_at == own.now()
    assert visitor.post("/silences/none/end", data={"form_token": visitor.cookies["ow_form"]}).status_code == 404
    assert visitor.post(f"/silences/{silence.id}/end", data={}).status_code in (403, 415)


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"hours": "-1"}, 400), ({"hours": "nan"}, 400), ({"hours": ""}, 400), ({"comment": " "}, 400),
     ({"watchlist": "none"}, 404), ({"extra": "x"}, 400), ({"comment": "x" * 17_000}, 413)],
)  # fmt: skip
def test_a_silence_that_makes_no_sense_is_refused(own: SqliteArchive, changes: dict[str, str], status: int) -> None:
    visitor = client(own)
    assert visitor.post("/silences", data=wish(visitor, **changes)).status_code == status
    assert own.silences() == []


def test_a_form_that_is_no_form_is_refused() -> None:
    visitor = client(sample())
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.post("/silences", json={}).status_code == 415
    assert visitor.post("/silences", content=b"\xff\xff=1", headers=kind).status_code == 400
    assert visitor.post("/silences", content=b"&".join(b"a=1" for _ in range(99)), headers=kind).status_code == 400
