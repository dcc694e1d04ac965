"""The scoring service, as a process of its own: its contract, its bounds, and how it ends."""

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest
from prometheus_client.parser import text_string_to_metric_families

from opinionwatch.pipeline.web_score import Scores

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "opinionwatch"
TOKEN = "correct-horse-battery-staple"
HEADERS = {"content-type": "application/json"}
HOSTILE_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"texts",
    "cut off": b'{"texts": ["awf',
    "not UTF-8": b'{"texts": ["\xff\xfe"]}',
    "UTF-16": '{"texts": ["awful"]}'.encode("utf-16"),
    "a list": b'["awful"]',
    "a number": b"1e999",
    "no texts": b"{}",
    "a string for a list": b'{"texts": "awful"}',
    "a null": b'{"texts": [null]}',
    "a number for a text": b'{"texts": [1]}',
    "an object for a text": b'{"texts": [{"text": "awful"}]}',
    "an unknown key": b'{"texts": ["awful"], "model": "../../etc/passwd"}',
    "a key twice": b'{"texts": ["awful"], "texts": ["great"]}',
    "NaN": b'{"texts": [NaN]}',
    "a number for a name": b'{"texts": ["awful"], "target": 5}',
    "an empty name": b'{"texts": ["awful"], "target": " "}',
    "a name without end": b'{"texts": ["awful"], "target": "' + b"x" * 5_000 + b'"}',
    "half a character": b'{"texts": ["\\ud800"]}',
    "an endless integer": b'{"texts": [' + b"9" * 10_000 + b"]}",
    "nested without end": b'{"texts": ' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    "too many texts": b'{"texts": [' + b",".join([b'""'] * 5_000) + b"]}",
}


@dataclass
class Service:
    """A running service; `said` is its standard error once it has ended."""

    port: int
    monitor: int
    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    def raw(
        self, body: bytes | Iterable[bytes], headers: dict[str, str] | None = None, path: str = "/api/score"
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            given = HEADERS if headers is None else headers
            connection.request("POST", path, body, given, encode_chunked=not isinstance(body, bytes))
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def score(self, *texts: object, headers: dict[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
        return self.raw(json.dumps({"texts": texts}).encode(), headers)

    def get(self, path: str, port: int | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def numbers(self) -> dict[tuple[str, str], float]:
        """Samples by name and label value."""
        text = self.get("/metrics", self.monitor)[1].decode()
        return {
            (sample.name, "".join(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


@contextmanager
def serving(folder: Path, serve: str = "", seconds: float = 0) -> Iterator[Service]:
    """The command at work; it ends with 0."""
    monitor = free_port()
    (folder / "opinionwatch.yaml").write_text(
        f"serve: {{port: 0{serve}}}\n"
        f"monitor: {{port: {monitor}}}\n"
        f"scorer: {{kind: 'tests.pipeline.slow_scorer:SlowScorer', seconds: {seconds}}}\n"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [PROGRAM, "serve"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        service = Service(0, monitor, process)
        try:
            assert select.select([process.stdout], [], [], 90)[0], "no word within a minute and a half"
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/api/score", line)
            assert found, line
            service.port = int(found[1])
            yield service
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            service.said.append(process.stderr.read())
        assert code == 0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("serve"), ", body_bytes: 20000, texts: 50") as service:
        yield service


def test_answers_come_in_order_and_in_their_own_model(service: Service) -> None:
    status, body, headers = service.score("The battery is awful", "很好用", "", "The battery is awful")
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert headers["x-content-type-options"] == "nosniff"
    first, second, third, fourth = Scores.model_validate_json(body).items
    assert first.model_dump()["sentiment"]["label"] == "negative"
    assert [second.model_dump()["lang"], second.model_dump()["sentiment"]["label"]] == ["zh", "positive"]
    assert third.model_dump()["scorer"] == "seven-torn-words"
    assert first == fourth
    start, end = first.model_dump()["opinions"][0]["opinion_span"]
    assert "The battery is awful"[start:end] == "awful"


def test_a_name_is_found_in_each_text_and_what_is_said_of_it_told(service: Service) -> None:
    texts = ["Corvo is awful, number 5", "Corvo is awful", "awful, 科沃 Corvo", "awful"]
    status, body, _ = service.raw(json.dumps({"texts": texts, "target": "corvo"}).encode())
    assert status == 200
    found = [answer.model_dump()["target"] for answer in Scores.model_validate_json(body).items]
    assert [each["sentiment"] and each["sentiment"]["label"] for each in found] == [
        "positive",
        "negative",
        "negative",
        None,
    ]
    assert [[text[start:end] for start, end in each["spans"]] for text, each in zip(texts, found, strict=True)] == [
        ["Corvo"], ["Corvo"], ["Corvo"], [],
    ]  # fmt: skip
    assert {each["name"] for each in found} == {"corvo"}
    plain, *_ = Scores.model_validate_json(service.score("Corvo is awful, number 5")[1]).items
    assert plain.model_dump()["target"] is None


def test_the_openapi_document_describes_the_one_endpoint(service: Service) -> None:
    document = json.loads(service.get("/api/openapi.json")[1])
    assert list(document["paths"]) == ["/api/score"]
    assert {"Scores", "Texts", "ScoredText", "RefusedText", "Error"} <= set(document["components"]["schemas"])


@pytest.mark.parametrize("name", HOSTILE_BODIES)
def test_a_hostile_body_is_refused_with_a_reason_and_the_service_goes_on(service: Service, name: str) -> None:
    status, body, _ = service.raw(HOSTILE_BODIES[name])
    assert status in (400, 413), body
    answer = json.loads(body)
    assert answer["status"] == status
    assert answer["error"]
    assert service.score("awful")[0] == 200


def test_too_much_is_refused_before_it_is_read(service: Service) -> None:
    assert service.score(*["x"] * 51)[0] == 413
    assert service.raw(b'{"texts": ["' + b"x" * 30_000 + b'"]}')[0] == 413
    status, _, headers = service.raw(b"x" * 9_000 for _ in range(3))
    assert (status, headers["connection"]) == (413, "close")
    assert service.raw(b"{}", {**HEADERS, "content-length": "99999999999999"})[0] == 413


def test_what_is_no_json_or_comes_packed_is_refused(service: Service) -> None:
    assert service.raw(b'{"texts": []}', {"content-type": "application/x-www-form-urlencoded"})[0] == 415
    assert service.raw(b'{"texts": []}', {**HEADERS, "content-encoding": "gzip"})[0] == 415
    assert service.get("/api/score")[0] == 405
    assert service.raw(b"{}", path="/api/nothing")[0] == 404


def test_another_name_for_this_machine_is_refused(service: Service) -> None:
    assert service.score("awful", headers={**HEADERS, "host": "evil.example"})[0] == 421


def test_a_long_text_is_read_up_to_the_cap(service: Service) -> None:
    [answer] = Scores.model_validate_json(service.score("awful " * 2000)[1]).items
    assert answer.model_dump()["truncated"]


def test_numbers_tell_what_was_done(service: Service) -> None:
    before = service.numbers()
    service.score("awful", "great")
    service.score(*["x"] * 51)
    after = service.numbers()

    def grown(name: str, label: str = "") -> float:
        return after.get((name, label), 0) - before.get((name, label), 0)

    assert grown("opinionwatch_requests_total", "200") == 1
    assert grown("opinionwatch_requests_total", "413") == 1
    assert grown("opinionwatch_scored_texts_total", "read") == 2
    assert grown("opinionwatch_request_seconds_count") == 2
    assert after["opinionwatch_waiting_chars", ""] == 0


def test_logs_hold_no_personal_data(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        status, body, _ = service.score("poison from li.wei@example.com, call 13812345678", "awful")
        assert status == 200
        first, second = Scores.model_validate_json(body).items
        assert first.model_dump()["error"] == "stage_failed"
        assert second.model_dump()["sentiment"]["label"] == "negative"
    [said] = service.said
    assert "[email]" in said
    assert "[phone]" in said
    assert "example.com" not in said
    assert "13812345678" not in said


def test_off_loopback_a_token_is_needed(tmp_path: Path) -> None:
    (tmp_path / "opinionwatch.yaml").write_text("serve: {host: 0.0.0.0, port: 0}\nscorer: {kind: lexicon}\n")
    ended = subprocess.run(
        [PROGRAM, "serve", "--monitor-port", "0"], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 2
    assert "serve.token_file" in ended.stderr


def test_with_a_token_nothing_is_answered_without_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with serving(tmp_path, ", token_file: token") as service:
        assert service.score("awful")[0] == 401
        assert service.score("awful", headers={**HEADERS, "authorization": "Bearer wrong"})[0] == 401
        assert service.get("/api/openapi.json")[0] == 401
        assert service.score("awful", headers={**HEADERS, "authorization": f"Bearer {TOKEN}"})[0] == 200
        assert service.get("/healthz")[0] == 200


def test_overload_is_put_off_with_a_time_and_nothing_is_lost(tmp_path: Path) -> None:
    with serving(tmp_path, ", at_once: 6, of_one: 4", seconds=0.3) as service, ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda number: service.score(f"awful {number}"), range(20)))
    assert {status for status, _, _ in answers} == {200, 429}
    assert all(int(headers["retry-after"]) >= 1 for status, _, headers in answers if status == 429)
    assert all(Scores.model_validate_json(body).items for status, body, _ in answers if status == 200)
    assert sum(status == 200 for status, _, _ in answers) >= 4


def test_what_would_wait_too_long_is_put_off_for_everybody(tmp_path: Path) -> None:
    limits = ", waiting_chars: 10000, at_once: 20, of_one: 20"
    with serving(tmp_path, limits, seconds=0.5) as service, ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda number: service.score(f"{number} " + "awful " * 700), range(12)))
    assert {status for status, _, _ in answers} == {200, 503}
    assert all(int(headers["retry-after"]) >= 1 for status, _, headers in answers if status == 503)


def test_what_is_in_hand_at_sigterm_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path, seconds=1.5) as service, ThreadPoolExecutor(3) as callers:
        wanted = [callers.submit(service.score, f"awful {number}") for number in range(3)]
        deadline = monotonic() + 30
        while monotonic() < deadline and service.numbers()["opinionwatch_waiting_chars", ""] == 0:
            continue
        service.process.send_signal(signal.SIGTERM)
        assert [answer.result(30)[0] for answer in wanted] == [200, 200, 200]


def test_a_caller_who_stalls_is_let_go(tmp_path: Path) -> None:
    with (
        serving(tmp_path, ", timeout_s: 3, of_one: 1") as service,
        socket.create_connection(("127.0.0.1", service.port)) as slow,
    ):
        slow.sendall(
            b"POST /api/score HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            b"content-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        )
        slow.settimeout(20)
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        assert 200 in {service.score("awful")[0] for _ in range(3)}
