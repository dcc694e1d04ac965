"""The scripts that make secrets, certificates and users."""

import base64
import json
import re
import shutil
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from opinionwatch.pipeline.web_access import read_token
from tests.deploy.files import COMPOSE, of_yaml, said, tool

SCRIPTS = sorted([*COMPOSE.glob("*.sh"), *(COMPOSE / "setup").glob("*.sh")])
CERTIFICATE = COMPOSE.parent / "tests" / "alerts" / "tls" / "localhost.pem"


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_the_linter_of_shell_scripts_finds_nothing(script: Path) -> None:
    assert said(tool("shellcheck"), script) == ""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What secrets.sh makes beside the example."""
    for name in ("secrets.sh", ".env.example"):
        shutil.copy(COMPOSE / name, tmp_path / name)
    said("sh", tmp_path / "secrets.sh")
    return tmp_path


def variables(folder: Path) -> dict[str, str]:
    """What stands in its .env."""
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_secret_is_random_long_and_for_its_owner_only(made: Path) -> None:
    secrets = {file.name: file.read_text(encoding="utf-8") for file in (made / "secrets").iterdir()}
    assert set(secrets) == set(of_yaml(COMPOSE / "compose.yaml")["secrets"])
    found = variables(made)
    values = [*secrets.values(), *(found[name] for name in ("ELASTIC_PASSWORD", "KIBANA_PASSWORD", "KIBANA_KEY"))]
    assert len(set(values)) == len(values)
    assert all(len(value) == 48 for value in values)
    assert stat.S_IMODE((made / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((made / ".env").stat().st_mode) == 0o600
    assert len(base64.urlsafe_b64decode(found["KAFKA_CLUSTER_ID"] + "==")) == 16
    assert read_token(made / "secrets" / "web.token") == secrets["web.token"]


def test_a_second_time_changes_nothing(made: Path) -> None:
    before = {file: file.read_bytes() for file in made.rglob("*") if file.is_file()}
    assert said("sh", made / "secrets.sh") == ""
    assert {file: file.read_bytes() for file in made.rglob("*") if file.is_file()} == before


@dataclass
class Users:
    """Elasticsearch's security API, as far as users.sh asks it."""

    password: str = "master"
    refuses: str = ""
    asked: dict[str, object] = field(default_factory=dict)
    url: str = ""


class Security(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_PUT(self) -> None:
        """Keep what was asked for."""
        users = getattr(self.server, "users")  # noqa: B009 - no attribute of http.server's
        assert isinstance(users, Users)
        body = self.rfile.read(int(self.headers["content-length"]))
        wanted = "Basic " + base64.b64encode(f"elastic:{users.password}".encode()).decode()
        right = self.headers.get("authorization") == wanted and self.path != users.refuses
        if right:
            users.asked[f"{self.command} {self.path}"] = json.loads(body)
        answer = b"{}" if right else b'{"error": "no"}'
        self.send_response(200 if right else 401)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_POST(self) -> None:
        """Likewise."""
        self.do_PUT()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's word
        """Say nothing."""


@pytest.fixture
def users() -> Iterator[Users]:
    found = Users()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Security)
    server.users = found  # type: ignore[attr-defined]  # how http.server's handlers are told anything
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.url = f"https://localhost:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def run(users: Users, made: Path, password: str | None = None) -> str:
    """users.sh against it, with the right password unless told otherwise."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "ELASTICSEARCH_URL": users.url, "CA_FILE": str(CERTIFICATE),
        "SECRETS": str(made / "secrets"), "ELASTIC_PASSWORD": password or users.password,
        "KIBANA_PASSWORD": "for-kibana",
    }  # fmt: skip
    return said("bash", COMPOSE / "setup" / "users.sh", env=environment)


def test_the_users_get_their_passwords_and_no_more_rights_than_the_roles(users: Users, made: Path) -> None:
    assert "are ready" in run(users, made)
    assert users.asked["POST /_security/user/kibana_system/_password"] == {"password": "for-kibana"}
    for name, secret in (("opinionwatch", "elasticsearch.password"), ("opinionwatch_kibana", "kibana.password")):
        password = (made / "secrets" / secret).read_text(encoding="utf-8")
        assert users.asked[f"PUT /_security/user/{name}"] == {"password": password, "roles": [name]}
    role = users.asked["PUT /_security/role/opinionwatch"]
    assert isinstance(role, dict)
    assert [each["names"] for each in role["indices"]] == [["opinionwatch-*"]]
    assert "all" not in role["cluster"]
    kibana = users.asked["PUT /_security/role/opinionwatch_kibana"]
    assert isinstance(kibana, dict)
    assert (kibana["cluster"], kibana["indices"]) == ([], [])


def test_a_refusal_ends_it_with_elasticsearchs_words_and_without_the_password(users: Users, made: Path) -> None:
    with pytest.raises(AssertionError, match=r"POST /_security/user/kibana_system/_password was answered 401") as told:
        run(users, made, "wr0ng-master")
    assert "wr0ng-master" not in str(told.value)
    users.refuses = "/_security/role/opinionwatch"
    with pytest.raises(AssertionError, match="PUT /_security/role/opinionwatch was answered 401"):
        run(users, made)


NEEDED = {
    "cluster.health": "monitor", "cluster.get_component_template": "manage_index_templates",
    "cluster.put_component_template": "manage_index_templates", "indices.get_index_template": "manage_index_templates",
    "indices.put_index_template": "manage_index_templates", "indices.simulate_template": "manage_index_templates",
    "indices.create": "create_index", "indices.exists": "view_index_metadata", "indices.get": "view_index_metadata",
    "indices.get_mapping": "view_index_metadata", "indices.put_mapping": "manage",
    "indices.delete": "manage", "indices.refresh": "manage", "indices.stats": "manage",
    "indices.put_settings": "manage",
}  # fmt: skip
"""The right that each call of ours needs; tried on an Elasticsearch with passwords, but for `put_settings`, which is
read from its documentation (Security privileges, `manage`: all `monitor` privileges plus index and data stream
administration).
"""


def test_every_call_of_ours_to_elasticsearch_is_one_that_the_role_allows() -> None:
    call = re.compile(r"client\.((?:indices|cluster|nodes|ingest|ilm|tasks|security)\.\w+)\(")
    files = (COMPOSE.parent / "pipeline").glob("*.py")
    calls = {name for file in files for name in call.findall(file.read_text(encoding="utf-8"))}
    assert calls
    assert calls <= set(NEEDED), "a new call: say which right it needs, and see that the role has it"
    role = json.loads((COMPOSE / "setup" / "role.json").read_text(encoding="utf-8"))
    assert {NEEDED[name] for name in calls} <= {*role["cluster"], *role["indices"][0]["privileges"]}
