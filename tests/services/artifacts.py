"""Kafka and Elasticsearch as Java programs, fetched with Maven once and kept in a folder that any user may read."""

import fcntl
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from zipfile import ZipFile

KAFKA = "4.1.1"
ELASTICSEARCH = "8.19.16"
JDK = 17
FETCH_S = 600.0
"""Seconds that Maven may take: 150 MB over a slow line."""

_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>opinionwatch</groupId><artifactId>services</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
<dependency><groupId>org.elasticsearch.distribution.integ-test-zip</groupId><artifactId>elasticsearch</artifactId>
<version>{ELASTICSEARCH}</version><type>zip</type></dependency>
</dependencies></project>
"""


class UnavailableError(Exception):
    """The services cannot start here; the message says what to install."""


def java_home() -> Path:
    """A JDK of 17 or newer: `JAVA_HOME`, else what `java` on the path belongs to."""
    named = os.environ.get("JAVA_HOME")
    program = Path(named) / "bin" / "java" if named else Path(shutil.which("java") or "java-is-not-on-the-path")
    cure = f"install a JDK {JDK} or newer (Debian: apt install openjdk-{JDK}-jdk-headless maven), or start Docker"
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"no Java here ({program}): {cure}") from error
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None or int(found[1]) < JDK:
        raise UnavailableError(f"{program} is too old ({said.splitlines()[0]}): {cure}")
    return program.resolve().parents[1]


def programs() -> Path:
    """The folder with `kafka/*.jar` and `elasticsearch/bin/elasticsearch`; fetched at the first call of a machine."""
    kept = _own_folder() / f"kafka-{KAFKA}-elasticsearch-{ELASTICSEARCH}"
    turn = os.open(kept.parent, os.O_RDONLY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)  # two sessions may want it at once
        if not kept.exists():
            # Made beside its place and moved there whole: whoever fetches may be killed.
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix="fetching-") as scratch:
                _fetched(Path(scratch)).rename(kept)
    finally:
        os.close(turn)
    return kept


def _own_folder() -> Path:
    """A folder of ours that no other user can put programs into."""
    folder = Path(tempfile.gettempdir()) / f"opinionwatch-services-{os.getuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
        raise UnavailableError(f"{folder} belongs to somebody else: remove it, or set TMPDIR to a folder of your own")
    folder.chmod(0o755)
    return folder


def _fetched(scratch: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError("no Maven here: install it (Debian: apt install maven), or start Docker")
    (scratch / "pom.xml").write_text(_POM, encoding="utf-8")
    jars = scratch / "jars"
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    command: list[str | Path] = [maven, "-B", "-q", "-f", scratch / "pom.xml", goal, f"-DoutputDirectory={jars}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"Maven had not fetched Kafka and Elasticsearch after {FETCH_S:.0f} s") from error
    if done.returncode:
        words = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line][:3]
        raise UnavailableError(
            "Maven cannot fetch Kafka and Elasticsearch; it needs Maven Central or a mirror (~/.m2/settings.xml): "
            + " ".join(words)
        )
    made = scratch / "made"
    (made / "kafka").mkdir(parents=True)
    for jar in jars.glob("*.jar"):
        jar.rename(made / "kafka" / jar.name)
    [zipped] = jars.glob("elasticsearch-*.zip")
    with ZipFile(zipped) as archive:
        archive.extractall(scratch / "unzipped")
    [unzipped] = (scratch / "unzipped").iterdir()
    unzipped.rename(made / "elasticsearch")
    for program in (made / "elasticsearch" / "bin").iterdir():
        program.chmod(0o755)
    _readable(made)
    return made


def _readable(folder: Path) -> None:
    """The servers run as somebody else when we are root."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
