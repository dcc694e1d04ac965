"""The same broker with encryption and passwords, as a Java program: for the tests of what speaks to it."""

import shutil
from pathlib import Path

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
