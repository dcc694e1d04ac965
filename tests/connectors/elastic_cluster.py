"""Elasticsearch, imitated: points in time and `search_after`, as far as reading an index in order takes."""

import json
from dataclasses import dataclass, field

from tests.connectors.imitation import Asked, Told
from tests.connectors.services import when


@dataclass
class Cluster:
    """One index; documents by number, with times in milliseconds."""

    count: int
    token: str | None = None
    pits: dict[str, list[int]] = field(default_factory=dict)
    late: dict[int, int] = field(default_factory=dict)
    """Documents with another time than theirs."""
    changed: dict[int, dict[str, object]] = field(default_factory=dict)
    """What documents say otherwise by now."""

    def __call__(self, asked: Asked) -> Told:
        """Open a point in time, search, or count."""
        if self.token is not None and asked.headers.get("authorization") != f"ApiKey {self.token}":
            return Told({"error": {"type": "security_exception"}, "status": 401}, 401)
        if asked.path == "/posts/_count":
            return Told({"count": self.count, "_shards": {"failed": 0}})
        if asked.method == "POST" and asked.path == "/posts/_pit" and asked.query.get("keep_alive"):
            key = f"pit{len(self.pits)}"
            self.pits[key] = list(range(1, self.count + 1))
            return Told({"id": key})
        if asked.method == "POST" and asked.path == "/_search":
            return self.search(json.loads(asked.body))
        return Told({"error": {"type": "index_not_found_exception"}, "status": 404}, 404)

    def at_ms(self, number: int) -> int:
        """A document's time."""
        return 1000 * self.late.get(number, when(number))

    def search(self, body: dict[str, dict[str, str]]) -> Told:
        """What a point in time holds, in order."""
        pit = body["pit"]["id"]
        if pit not in self.pits:
            return Told({"error": {"type": "search_context_missing_exception"}, "status": 404}, 404)
        assert [list(part) for part in body["sort"]] == [["@timestamp"], ["_shard_doc"]]
        since = json.loads(json.dumps(body["query"]))["range"]["@timestamp"]["gte"]
        order = sorted((self.at_ms(number), number) for number in self.pits[pit] if self.at_ms(number) >= since)
        after = tuple(body.get("search_after", (0, 0)))
        found = [(at, number) for at, number in order if (at, number) > after][: int(str(body["size"]))]
        hits = [self.hit(at, number, self.changed.get(number, {})) for at, number in found]
        return Told({"pit_id": pit, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}})

    @staticmethod
    def hit(at: int, number: int, changed: dict[str, object]) -> dict[str, object]:
        """A document."""
        source = {"@timestamp": at, "message": {"body": f"text {number} 电池"}, "user": f"u{number % 5}", **changed}
        return {"_index": "posts", "_id": f"d{number}", "_source": source, "sort": [at, number]}
