"""How what waits was kept in the trend states of version 4: every record deflated on its own, with a dictionary."""

import zlib
from collections.abc import Iterator

from opinionwatch.alerts.pending import Waiting
from opinionwatch.pipeline.contracts import Mention
from opinionwatch.pipeline.contracts_changes import Withdrawal
from opinionwatch.pipeline.snapshots import Arrays

_HEAD, _MENTION = 17, b"m"
"""A letter for the kind of record, and 16 bytes of its id."""
KEYS = (
    b'"opinions":[],"scorer":"lexicon-neutral-positive,"history":true,"revised_at":"2027-keeps":['
    b'{"schema_version":1,"watchlist":"","document_id":"","tenant":"default","source":"","author":null,"url":"https://'
    b'","lang":"zh","lang":"en","text":"","published_at":"2026-11-","accepted_at":"2026-11-","fingerprint":"'
    b'","aspect":"general","aspects":["general"],"reading":{"sentiment":{"label":"negative","negative":0.,"neutral":0.'
    b',"positive":0.,"unsure":false},"opinions":[{"aspect":null,"opinion":"","polarity":"negative","aspect_span":null,'
    b'"opinion_span":[],"confidence":0.}]},"scorer":"default-","history":false,"version":0,"revised_at":null}'
)


def waited(arrays: Arrays) -> Iterator[tuple[int, Waiting]]:
    """Every record with the tick it waits for. Raises ValueError when the state is damaged."""
    whole, at = arrays["pending"].tobytes(), 0
    for tick, size in zip(arrays["pending_ticks"].tolist(), arrays["pending_sizes"].tolist(), strict=True):
        entry = whole[at : at + size]
        contract: type[Waiting] = Mention if entry[:1] == _MENTION else Withdrawal
        inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS, zdict=KEYS)
        try:
            yield tick, contract.model_validate_json(inflate.decompress(entry[_HEAD:]))
        except zlib.error as error:
            raise ValueError(f"an entry that waits is damaged: {error}") from error
        at += size
