"""CloudEvents envelopes: https://github.com/cloudevents/spec, cloudevents/bindings/kafka-protocol-binding.md, its
headers as the JavaScript SDK 9.0.0 writes them (dist/message/kafka/headers.js), read 2026-11-26.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence

import orjson

from opinionwatch.connectors.found import loads


def unwrapped(value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """The document in a record: its value, or the `data` of an event, structured or binary (headers `ce_…`).

    An event's `source` and `id` name a text that has no `native_id`; its `time` dates one that says no time. What is no
    JSON object stays as it is, to be a dead letter.

    >>> unwrapped(b'{"specversion": "1.0", "id": "7", "source": "/shop", "type": "t", "data": {"text": "good"}}')
    b'{"native_id":"/shop#7","text":"good"}'
    """
    told = {name: text.decode("utf-8", "replace") for name, text in headers if name.startswith("ce_") and text}
    try:
        event = loads(value)
    except orjson.JSONDecodeError:
        return value
    if not isinstance(event, dict):
        return value
    if "ce_specversion" in told:
        about: Mapping[str, object] = {name.removeprefix("ce_"): text for name, text in told.items()}
        data: object = event
    elif isinstance(event.get("specversion"), str) and "id" in event and "source" in event:
        about, data = event, _data(event)
    else:
        return value
    if not isinstance(data, dict):
        return value
    named = {"native_id": f"{about.get('source')}#{about.get('id')}"}
    dated = {"published_at": about["time"]} if isinstance(about.get("time"), str) else {}
    try:
        return orjson.dumps({**named, **dated, **data})
    except orjson.JSONEncodeError:
        return value  # more deeply nested than any document: it is to be refused as it is


def _data(event: Mapping[str, object]) -> object:
    packed = event.get("data_base64")
    if not isinstance(packed, str):
        return event.get("data")
    try:
        return loads(b64decode(packed, validate=True))
    except (Base64Error, ValueError):
        return None
