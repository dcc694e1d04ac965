"""What has to be true on this machine before opinionwatch can do its work."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from opinionwatch.pipeline import wiring
from opinionwatch.pipeline.contracts import Reading
from opinionwatch.pipeline.errors import OpinionwatchError
from opinionwatch.pipeline.live_scorer import in_force
from opinionwatch.pipeline.ports import Passage
from opinionwatch.pipeline.settings import Settings
from opinionwatch.pipeline.settings_elastic import Elastic

ENOUGH_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    detail: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other; a finding that is not ok says what to do."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", sys.version_info >= (3, 11), f"{version} (3.11 or newer is needed)")
    yield _store(settings)
    if settings.store == "elasticsearch":
        yield _index(settings.elasticsearch)
    yield _port(settings)
    yield _scorer(settings)
    if settings.kafka.servers:
        yield _kafka(settings)
    for what, build in (("sources", wiring.sources), ("watchlists", wiring.watchlists), ("channels", wiring.channels)):
        try:
            names = [str(getattr(part, "name", part)) for part in build(settings)]
            yield Finding(what, True, ", ".join(names) or "none in the settings")
        except OpinionwatchError as error:
            yield Finding(what, False, str(error))


def _kafka(settings: Settings) -> Finding:
    from opinionwatch.pipeline import kafka_admin  # its schemas take a while to load

    try:
        wrong = [state for state in kafka_admin.check(settings.kafka) if not state.right]
    except OpinionwatchError as error:
        return Finding("kafka", False, str(error))
    words = "; ".join(f"{state.wanted.name}: {'; '.join(state.differences)}" for state in wrong)
    return Finding("kafka", not wrong, words or f"all topics are at {', '.join(settings.kafka.servers)}")


def _store(settings: Settings) -> Finding:
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Finding("store", False, f"{folder.absolute()} cannot be written: set `data_dir` to a folder that can")
    free = shutil.disk_usage(folder).free
    return Finding(
        "store", free > ENOUGH_BYTES, f"{settings.store_path}, {free / 1e9:.0f} GB free (at least 1 GB makes sense)"
    )


def _index(settings: Elastic) -> Finding:
    from opinionwatch.pipeline import elastic_client, elastic_setup  # the client takes long to load

    try:
        client = elastic_client.connect(settings)
        bad = [f"{step.what}: {step.detail}" for step in elastic_setup.check(client, settings) if not step.ok]
        client.close()
    except OpinionwatchError as error:
        return Finding("elasticsearch", False, str(error))
    return Finding("elasticsearch", not bad, bad[0] if bad else f"{settings.hosts[0]}, set up as this version wants it")


def _port(settings: Settings) -> Finding:
    host, port = settings.web.host, settings.web.port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        return Finding("page", False, f"{host}:{port}: {reason}; set web.port to another number, or 0 for any free one")
    return Finding("page", True, f"http://{host}:{port} is free")


def _scorer(settings: Settings) -> Finding:
    try:
        scorer = wiring.scorer(in_force(settings))
        [english, chinese] = scorer.score([Passage("The battery is awful.", "en"), Passage("电池太差了。", "zh")])
    except OpinionwatchError as error:
        return Finding("scorer", False, str(error))

    def says(reading: Reading) -> str:
        return f"{reading.sentiment.label} {reading.sentiment.negative:.2f}"

    right = english.sentiment.label == chinese.sentiment.label == "negative"
    detail = f"{scorer.version}; “The battery is awful.” {says(english)}, “电池太差了。” {says(chinese)}"
    return Finding("scorer", right, detail if right else f"{detail}; both should be negative: try another scorer")
