"""`kibana apply` against a stub that keeps Kibana's contract."""

from pathlib import Path

import httpx2
import pytest
import yaml

from opinionwatch.pipeline.errors import OpinionwatchError, RetryableError, SettingsError
from opinionwatch.pipeline.kibana_client import apply
from opinionwatch.pipeline.kibana_lens import Body
from opinionwatch.pipeline.kibana_objects import saved_objects
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.settings_kibana import Kibana
from tests.pipeline.command import Command
from tests.pipeline.kibana_boards import FOLDER, boards
from tests.pipeline.kibana_stub import Stub, kibana

CERTIFICATE = Path(__file__).parents[1] / "alerts" / "tls" / "localhost.pem"
IMPORT = "POST /api/saved_objects/_import?overwrite=true"


def objects() -> list[Body]:
    """What is sent."""
    return saved_objects(boards(), "opinionwatch", "en")


def secret(tmp_path: Path, text: str) -> Path:
    """A file with a secret in it."""
    file = tmp_path / "secret"
    file.write_text(f"{text}\n", encoding="utf-8")
    return file


def test_all_objects_arrive_and_a_second_time_changes_nothing() -> None:
    with kibana(Stub()) as stub:
        settings = Kibana(url=stub.url)
        assert apply(settings, objects()) == len(objects())
        first = dict(stub.saved)
        assert {(kind, name) for _, kind, name in first} == {(each["type"], each["id"]) for each in objects()}
        assert apply(settings, objects()) == len(objects())
        assert stub.saved == first
        assert stub.requests == ["GET /api/status", IMPORT] * 2


def test_a_space_of_ones_own_gets_its_own_objects() -> None:
    with kibana(Stub(spaces={"default", "mood"})) as stub:
        apply(Kibana(url=stub.url, space="mood"), objects())
        assert {space for space, _, _ in stub.saved} == {"mood"}
        with pytest.raises(SettingsError, match="there is no space `typo`; make it in Kibana"):
            apply(Kibana(url=stub.url, space="typo"), objects())


def test_user_and_key_come_from_files_and_a_wrong_one_is_told_with_the_cure(tmp_path: Path) -> None:
    with kibana(Stub(user=("ow", "s3cret"))) as stub:
        apply(Kibana(url=stub.url, username="ow", password_file=secret(tmp_path, "s3cret")), objects())
        with pytest.raises(SettingsError, match=r"does not know us \(401\): check kibana.username") as refused:
            apply(Kibana(url=stub.url, username="ow", password_file=secret(tmp_path, "wr0ng")), objects())
        assert "wr0ng" not in str(refused.value)
    with kibana(Stub(key="aWQ6a2V5")) as stub:
        assert apply(Kibana(url=stub.url, api_key_file=secret(tmp_path, "aWQ6a2V5")), objects())
    with pytest.raises(SettingsError, match=r"kibana.api_key_file: cannot read"):
        apply(Kibana(url=stub.url, api_key_file=tmp_path / "none"), objects())
    with pytest.raises(SettingsError, match="is empty"):
        apply(Kibana(url=stub.url, api_key_file=secret(tmp_path, "")), objects())


def test_a_certificate_is_checked_and_only_a_named_ca_is_trusted(tmp_path: Path) -> None:
    with kibana(Stub(), CERTIFICATE) as stub:
        assert apply(Kibana(url=stub.url, ca_file=CERTIFICATE), objects())
        with pytest.raises(SettingsError, match=r"kibana.ca_file: Kibana's certificate is not one we trust"):
            apply(Kibana(url=stub.url), objects())
        with pytest.raises(SettingsError, match="is not a file of certificates"):
            apply(Kibana(url=stub.url, ca_file=secret(tmp_path, "no certificate")), objects())


def test_success_false_in_a_200_is_no_success() -> None:
    with kibana(Stub(refuses={"opinionwatch-overview": "unsupported_type"})) as stub:
        with pytest.raises(SettingsError, match="dashboard opinionwatch-overview: unsupported_type") as refused:
            apply(Kibana(url=stub.url), objects())
        assert f"took {len(objects()) - 1} of {len(objects())}" in str(refused.value)


def test_a_lost_data_view_is_refused_by_kibana_too() -> None:
    without = [each for each in objects() if each["id"] != "opinionwatch-data-windows"]
    with kibana(Stub()) as stub, pytest.raises(SettingsError, match="missing_references"):
        apply(Kibana(url=stub.url), without)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ((503, b"Kibana server is not ready yet"), RetryableError, "not ready (503): Kibana server is not ready yet"),
        ((429, b""), RetryableError, "not ready (429)"),
        ((403, b"{}"), SettingsError, "does not let us import saved objects (403)"),
        ((302, b""), SettingsError, "is not Kibana's address"),
        ((404, b"<html>"), SettingsError, "is not Kibana's address"),
        ((413, b"too big"), SettingsError, "does not take the dashboards (413): too big"),
        ((200, b"<html>log in</html>"), RetryableError, "is a proxy in between"),
        ((200, b'{"success": true, "successCount": 1}'), RetryableError, "says it took 1 of"),
        ((200, b'{"success": false, "successCount": 0}'), SettingsError, "it does not say why"),
    ],
)
def test_every_answer_of_the_import_has_its_word(
    answer: tuple[int, bytes], kind: type[OpinionwatchError], says: str
) -> None:
    with kibana(Stub(answers=[(200, b"{}"), answer])) as stub:
        with pytest.raises(kind) as told:
            apply(Kibana(url=stub.url), objects())
        assert says in str(told.value)


def test_an_old_kibana_is_told_before_anything_is_sent() -> None:
    with kibana(Stub(version="7.17.2")) as stub:
        with pytest.raises(SettingsError, match=r"Kibana 7.17.2 is too old for the dashboards: 8.9 or newer"):
            apply(Kibana(url=stub.url), objects())
        assert stub.requests == ["GET /api/status"]


def test_a_kibana_that_is_not_there_is_tried_again_later() -> None:
    def nobody(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(RetryableError, match=r"cannot be reached at http://127.0.0.1:5601"):
        apply(Kibana(url="http://127.0.0.1:5601"), objects(), httpx2.MockTransport(nobody))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "http://kibana:5601"}, "use https, or `allow_plaintext: true`"),
        ({"url": "ftp://kibana"}, "url"),
        ({"url": "https://me:pw@kibana"}, "url"),
        ({"username": "ow"}, "belong together"),
        ({"space": "No Space"}, "space"),
        ({"username": "ow", "password_file": "p", "api_key_file": "k"}, "either"),
    ],
)
def test_settings_that_cannot_work_or_are_not_safe_are_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load(None, {"kibana": given})


def test_the_command_brings_them_and_says_where_to_look(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    with kibana(Stub()) as stub:
        given = {"kibana": {"url": stub.url, "folder": str(FOLDER), "public_url": "https://kibana.example/"}}
        file.write_text(yaml.safe_dump(given), encoding="utf-8")
        ended = command("kibana", "apply", "-c", file)
        assert ended.code == 0
        assert f"Kibana took {len(objects())} objects" in ended.out
        assert "https://kibana.example/app/dashboards" in ended.err
        dry = command("kibana", "apply", "--dry-run", "-c", file)
        assert len(dry.out.splitlines()) == len(objects())
        assert len(stub.requests) == 2


def test_the_command_refuses_a_dashboard_that_asks_for_nothing_there_is(command: Command, tmp_path: Path) -> None:
    for each in FOLDER.glob("*.yaml"):
        text = each.read_text(encoding="utf-8").replace("sum(window.posts)", "sum(window.postings)")
        (tmp_path / each.name).write_text(text, encoding="utf-8")
    file = tmp_path.parent / "opinionwatch-settings"
    file.write_text(yaml.safe_dump({"kibana": {"folder": str(tmp_path)}}), encoding="utf-8")
    ended = command("kibana", "apply", "-c", file)
    assert ended.code == 2
    assert "windows have no field `window.postings`" in ended.said


def test_without_an_address_it_says_which_setting_is_missing(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"kibana": {"folder": str(FOLDER)}}), encoding="utf-8")
    ended = command("kibana", "apply", "-c", file)
    assert ended.code == 2
    assert "kibana.url is not set" in ended.said
