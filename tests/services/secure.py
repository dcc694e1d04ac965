"""The same services with encryption and passwords, as Java programs: for the tests of what speaks to them."""

import hashlib
import json
import os
import shutil
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from tests.services.elastic import ElasticSearch
from tests.services.kafka import Kafka
from tests.services.server import free_port

CERTIFICATE = Path(__file__).parents[1] / "alerts" / "tls" / "localhost.pem"
"""Certificate and key of `localhost`, signed by itself, so its own authority; protects nothing."""
USER, PASSWORD = "ow", "a secret of the tests"


class SecureKafka(Kafka):
    """Clients come by TLS and tell who they are, by PLAIN or SCRAM-SHA-512."""

    users = ("--add-scram", f'SCRAM-SHA-512=[name={USER},password="{PASSWORD}"]')

    def _properties(self, controller: int) -> str:
        self.address = f"localhost:{self.port}"
        inside, keys = free_port(), self.folder / "localhost.pem"
        shutil.copy(CERTIFICATE, keys)
        self.own(keys)
        modules = "org.apache.kafka.common.security"
        return super()._properties(controller) + "".join(
            f"{key}={value}\n"
            for key, value in {
                "listeners": f"CLIENTS://127.0.0.1:{self.port},INSIDE://127.0.0.1:{inside},"
                f"CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"CLIENTS://{self.address},INSIDE://127.0.0.1:{inside}",
                "listener.security.protocol.map": "CLIENTS:SASL_SSL,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "inter.broker.listener.name": "INSIDE",
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                "listener.name.clients.plain.sasl.jaas.config": f"{modules}.plain.PlainLoginModule required "
                f'user_{USER}="{PASSWORD}";',
                "listener.name.clients.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": keys,
            }.items()
        )


class SecureElastic(ElasticSearch):
    """HTTPS, and users from files, since this distribution lacks what API keys and the security index need. `USER` has
    the role that compose gives to the daemons, `STRANGER` has none.
    """

    STRANGER = "stranger"

    def __init__(self, *, leashed: bool = True) -> None:
        super().__init__(leashed=leashed)
        self.address = f"https://localhost:{self.port}"
        config = self.folder / "config"
        key, begins, certificate = CERTIFICATE.read_text().partition("-----BEGIN CERTIFICATE")
        role = json.loads((CERTIFICATE.parents[3] / "compose" / "setup" / "role.json").read_text())
        del role["description"]
        for name, text in (
            ("localhost.key", key),
            ("localhost.crt", begins + certificate),
            ("users", "".join(f"{user}:{_hashed(PASSWORD)}\n" for user in (USER, self.STRANGER))),
            ("users_roles", f"opinionwatch:{USER}\n"),
            ("roles.yml", json.dumps({"opinionwatch": role})),  # JSON is YAML
        ):
            (config / name).write_text(text)
        for path in config.rglob("*"):
            self.own(path)

    def _lines(self, transport: int) -> dict[str, object]:
        return {
            **super()._lines(transport),
            "xpack.security.enabled": "true",
            "xpack.security.http.ssl.enabled": "true",
            "xpack.security.http.ssl.key": "localhost.key",
            "xpack.security.http.ssl.certificate": "localhost.crt",
        }

    def environment(self) -> Mapping[str, str]:
        """Quick to start; its own roles would want an index that needs what this distribution lacks."""
        given = super().environment()
        quick = "-XX:TieredStopAtLevel=1 -Des.queryable_built_in_roles_enabled=false"
        return {**given, "ES_JAVA_OPTS": f"{given['ES_JAVA_OPTS']} {quick}"}

    def answers(self) -> bool:
        """Whether the cluster has a master and knows the password."""
        known = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - an address of ours
            f"{self.address}/_cluster/health?wait_for_status=yellow&timeout=1s",
            headers={"Authorization": f"Basic {known}"},
        )
        try:
            with urllib.request.urlopen(  # noqa: S310 - as above
                request, timeout=5, context=ssl.create_default_context(cafile=str(CERTIFICATE))
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _hashed(password: str) -> str:
    """As the file realm keeps it: salted PBKDF2 with its smallest cost, for nothing is protected here."""
    cost, salt = 1000, os.urandom(32)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, cost, 32)
    return f"{{PBKDF2}}{cost}${b64encode(salt).decode()}${b64encode(hashed).decode()}"
