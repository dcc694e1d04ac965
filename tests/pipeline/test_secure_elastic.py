"""An Elasticsearch with certificates, users and rights, for real: ours get in with what compose gives them, and nobody
without. API keys are compared by a proxy of ours before it; see `tests.services.key_proxy`.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest
from elasticsearch import Elasticsearch

from opinionwatch.connectors.demo import watchlists
from opinionwatch.pipeline.archive_elastic import ElasticArchive
from opinionwatch.pipeline.archives import archive_of
from opinionwatch.pipeline.elastic_bulk import BulkWriter
from opinionwatch.pipeline.elastic_client import asking, connect, knock
from opinionwatch.pipeline.elastic_operations import operations
from opinionwatch.pipeline.elastic_setup import check, retire, set_up
from opinionwatch.pipeline.errors import FatalError, RetryableError
from opinionwatch.pipeline.settings_elastic import Elastic
from opinionwatch.pipeline.store_elastic import ElasticStore
from tests.pipeline.daemons import Daemons
from tests.pipeline.sample import document, scored
from tests.services.key_proxy import key_proxy
from tests.services.secure import CERTIFICATE, PASSWORD, USER, SecureElastic, SecureKafka
from tests.services.server import up

Settings = Callable[..., Elastic]
WRONG = "hunter2 of the tests"
KEY = "a2V5OmEgc2VjcmV0IGtleSBvZiB0aGUgdGVzdHM="


@pytest.fixture(scope="module")
def elastic() -> Iterator[SecureElastic]:
    with up(SecureElastic()) as server:
        yield server


@pytest.fixture
def known(elastic: SecureElastic, tmp_path: Path) -> Settings:
    """Settings for it."""

    def settings(user: str = USER, password: str = PASSWORD, ca: Path | None = CERTIFICATE) -> Elastic:
        secret = tmp_path / "secret"
        secret.write_text(password)
        return Elastic(hosts=(elastic.address,), username=user, password_file=secret, ca_file=ca)

    return settings


def _asked(client: Elasticsearch) -> None:
    """One question."""
    with asking():
        client.cluster.health()


def test_the_role_that_compose_gives_suffices_for_everything_daemons_and_commands_do(known: Settings) -> None:
    chosen = known()
    with connect(chosen) as client:
        assert all(step.ok for step in set_up(client, chosen))
        assert all(step.ok for step in check(client, chosen))
        knock(client, chosen.prefix)
        store, origin = ElasticStore(client, chosen), document(1)
        assert store.admit([origin]) == [origin]
        assert store.write([scored(origin)]) == []
        store.close()
        archive = ElasticArchive(client, chosen)
        assert [one.document.id for one in archive.every_document()] == [origin.id]
        client.indices.refresh(index="opinionwatch-*")
        assert all(row.gap == 0 for row in archive.ledger())
        assert all(step.ok for step in retire(client, chosen, datetime.now(UTC)))


def test_an_api_key_gets_in_and_a_wrong_one_does_not(elastic: SecureElastic, tmp_path: Path) -> None:
    with key_proxy(elastic.address, KEY) as address:
        chosen = Elastic(hosts=(address,), api_key_file=tmp_path / "key", ca_file=CERTIFICATE)
        (tmp_path / "key").write_text(KEY + "\n")
        with connect(chosen) as client:
            knock(client, chosen.prefix)
            assert all(step.ok for step in set_up(client, chosen))
        (tmp_path / "key").write_text(WRONG)
        with connect(chosen) as client, pytest.raises(FatalError, match=r"refuses us \(401\).*api_key_file") as refused:
            knock(client, chosen.prefix)
        assert WRONG not in str(refused.value)


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [(USER, WRONG, 401), ("nobody", PASSWORD, 401), (SecureElastic.STRANGER, PASSWORD, 403)],
)
def test_who_is_not_known_or_has_no_right_is_told_so_and_what_to_do(
    known: Settings, user: str, password: str, status: int
) -> None:
    chosen = known(user, password)
    with connect(chosen) as client:
        with pytest.raises(FatalError, match=rf"refuses us \({status}\).*password_file.*role") as refused:
            knock(client, chosen.prefix)
        with pytest.raises(RetryableError, match=r"refuses our credentials or rights.*password_file"), asking():
            client.search(index="opinionwatch-documents-*")
    assert password not in str(refused.value)


def test_a_cluster_of_an_unknown_authority_or_another_name_is_not_told_the_password(
    known: Settings, elastic: SecureElastic
) -> None:
    elsewhere = known().model_copy(update={"hosts": (elastic.address.replace("localhost", "127.1"),)})
    for chosen, why in ((known(ca=None), "self-signed"), (elsewhere, "mismatch")):
        with connect(chosen) as client:
            said = rf"(?i){why}.*told nothing.*ca_file"
            with pytest.raises(FatalError, match=said) as refused:
                knock(client, chosen.prefix)
            assert PASSWORD not in str(refused.value)
            with pytest.raises(FatalError, match=said):
                _asked(client)


def test_a_writer_that_does_not_trust_the_cluster_writes_nothing_and_says_so(
    known: Settings,
) -> None:
    chosen, stop = known(ca=None), Event()
    with connect(chosen) as client:
        writer = BulkWriter(client, chosen, stop)
        waiting = Thread(target=_until_told, args=(writer,))
        waiting.start()
        while writer.figures.denied is None:
            assert waiting.is_alive()
            stop.wait(0.05)
        assert "certificate that we do not trust" in writer.figures.denied
        stop.set()
        waiting.join()
        writer.close()
    assert writer.figures.done == 0


def _until_told(writer: BulkWriter) -> None:
    with pytest.raises(RetryableError, match="told to stop"):
        writer.write(list(operations("opinionwatch", [scored(document(2))])))


def test_daemons_score_over_tls_with_passwords_from_end_to_end_and_do_not_start_where_they_are_refused(
    known: Settings, secure_kafka: SecureKafka, tmp_path: Path
) -> None:
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps({"native_id": f"e{n}", "text": f"Lumora is slow {n}"}) + "\n" for n in range(3)))
    chosen = known()
    secret = str(chosen.password_file)
    daemons = Daemons(
        tmp_path / "cluster", {"kafka": secure_kafka.address, "elasticsearch": chosen.hosts[0]},
        watchlists=list(watchlists()), elasticsearch=chosen.model_dump(mode="json", exclude_defaults=True),
        kafka={"security": "SASL_SSL", "username": USER, "password_file": secret, "ca_file": str(CERTIFICATE)},
        sources=[{"name": "feed", "kind": "jsonl", "path": str(feed)}], channels=[{"name": "here", "kind": "terminal"}],
    )  # fmt: skip
    try:
        daemons.prepared()
        daemons.start("score")
        read = daemons.command("ingest", "--once")
        assert read.returncode == 0, read.stderr
        archive = archive_of(daemons.settings)
        daemons.until(lambda: sum(one.document.native_id[0] == "e" for one in archive.every_document()) == 3, 60)
        daemons.end()
        wrong = tmp_path / "wrong"
        wrong.write_text(WRONG)
        variable = {"OPINIONWATCH__ELASTICSEARCH__PASSWORD_FILE": str(wrong)}
        refused = [daemons.start(role, **variable) for role in ("score", "trend", "notify", "web")]
        assert [life.wait(90) for life in refused] == [1, 1, 1, 1], daemons.said()
        for role in ("score", "trend", "notify", "web"):
            assert "Elasticsearch refuses us (401): look at" in (daemons.folder / f"{role}.err").read_text()
        said = daemons.everything()
        assert "Traceback" not in said
        assert PASSWORD not in said
        assert WRONG not in said
    finally:
        daemons.kill()
