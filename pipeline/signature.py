"""Signatures of pushed messages, as the Standard Webhooks specification has them (standardwebhooks.com, read 2025-11).

HMAC-SHA256 over `id.timestamp.body`, base64, as `v1,…` in `webhook-signature`; several may stand there, and two
secrets may be active, so that they can be changed without a gap.
"""

import base64
import binascii
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

from opinionwatch.pipeline.errors import SettingsError

TOLERANCE_S = 300
MIN_SECRET_BYTES = 16
REMEMBERED = 10_000
_PREFIX = "whsec_"
_ID = re.compile(r"[A-Za-z0-9_:-]{1,128}")
"""No dot: what is signed would not say where the id ends."""
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def secret_bytes(text: str, where: str) -> bytes:
    """The key in a secret: `whsec_` and base64, or the bytes as they are. Raises SettingsError when it is too weak."""
    text = text.strip()
    try:
        encoded = text.startswith(_PREFIX)
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True) if encoded else text.encode()
    except binascii.Error as error:
        raise SettingsError(f"{where}: what follows {_PREFIX} is not base64") from error
    if len(key) < MIN_SECRET_BYTES:
        raise SettingsError(f"{where}: a secret needs {MIN_SECRET_BYTES} bytes; make one with `openssl rand -hex 32`")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """One entry for `webhook-signature`."""
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(signed).decode()


class Verifier:
    """Says whether a message is from somebody who has a secret, and not an old one."""

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float]) -> None:
        if not keys:
            raise SettingsError("a webhook without a secret would believe anybody")
        self._keys = tuple(keys)
        self._clock = clock

    def check_time(self, message_id: str, timestamp: str) -> None:
        """Before the body is read. Raises PermissionError with the reason."""
        if not _ID.fullmatch(message_id):
            raise PermissionError("webhook-id: 1 to 128 letters, digits, '_', ':' or '-'")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise PermissionError("webhook-timestamp: seconds since 1970")
        if abs(int(timestamp) - self._clock()) > TOLERANCE_S:
            raise PermissionError(f"webhook-timestamp: more than {TOLERANCE_S} seconds from now")

    def check(self, message_id: str, timestamp: str, signatures: str, body: bytes) -> None:
        """Raises PermissionError when no signature fits. Compares in constant time, and always with all secrets."""
        self.check_time(message_id, timestamp)
        given = [one for one in signatures.split(" ")[:8] if one.isascii()]
        fits = False
        for key in self._keys:
            expected = sign(key, message_id, int(timestamp), body)
            for one in given:
                fits |= hmac.compare_digest(one, expected)
        if not fits:
            raise PermissionError("webhook-signature: none fits")


class Seen:
    """Ids of messages that were taken, so that a repetition is answered and not taken again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def taken(self, message_id: str, body: bytes) -> bool:
        """Whether this message was taken before. Raises ValueError when its id was, with another body."""
        now = self._clock()
        while self._taken and (len(self._taken) > REMEMBERED or next(iter(self._taken.values()))[0] < now):
            self._taken.popitem(last=False)
        known = self._taken.get(message_id)
        if known and known[1] != _digest(body):
            raise ValueError("this webhook-id was used for another message")
        return known is not None

    def take(self, message_id: str, body: bytes) -> None:
        """Remember for twice the time that its signature is good for."""
        self._taken[message_id] = (self._clock() + 2 * TOLERANCE_S, _digest(body))


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()
