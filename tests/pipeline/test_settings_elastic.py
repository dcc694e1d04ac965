"""The `elasticsearch:` section: what would be unsafe is refused with a cure."""

from pathlib import Path

import pytest

from opinionwatch.pipeline.errors import SettingsError
from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.settings_elastic import Elastic


def section(tmp_path: Path, text: str) -> Elastic:
    """The section as a file has it."""
    (tmp_path / "opinionwatch.yaml").write_text(f"elasticsearch: {text}", encoding="utf-8")
    return load(tmp_path / "opinionwatch.yaml").elasticsearch


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{hosts: ['http://es.internal:9200']}", "can be read on the way"),
        ("{hosts: ['http://10.0.0.7:9200']}", "allow_plaintext: true"),
        ("{hosts: ['https://127.0.0.1:9200', 'http://es:9200']}", "can be read on the way"),
        ("{hosts: ['https://elastic:hunter2@es:9200']}", "no password in an address"),
        ("{hosts: ['es.internal:9200']}", "write scheme, name and port"),
        ("{hosts: ['https://es.internal']}", "write scheme, name and port"),
        ("{hosts: ['ftp://es.internal:1']}", "write scheme, name and port"),
        ("{hosts: []}", "at least 1 item"),
        ("{username: elastic}", "belong together"),
        ("{password_file: p}", "belong together"),
        ("{username: elastic, password_file: p, api_key_file: k}", "not both"),
        ("{verify_certs: false}", "unknown setting"),
        ("{prefix: Opinion-*}", "prefix"),
        ("{bulks_in_flight: 0}", "bulks_in_flight"),
    ],
)
def test_what_would_be_unsafe_is_refused_and_no_secret_is_repeated(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        section(tmp_path, text)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{hosts: ['http://localhost:9200', 'http://[::1]:9200']}",
        "{hosts: ['http://elasticsearch:9200'], allow_plaintext: true}",
        "{hosts: ['https://es.internal:9200'], username: elastic, password_file: p, ca_file: ca.pem}",
    ],
)
def test_what_is_safe_or_meant_is_taken(tmp_path: Path, text: str) -> None:
    assert section(tmp_path, text).hosts
