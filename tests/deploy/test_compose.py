"""compose.yaml: of the schema, hardened, and naming nothing that is not there."""

import re
import shlex

import pytest

from tests.deploy.files import (
    COMPOSE,
    ROOT,
    Json,
    is_setting,
    of_yaml,
    ours,
    said,
    secrets_of_settings,
    tool,
    understood,
)

FILE = COMPOSE / "compose.yaml"
WHOLE = of_yaml(FILE)
SERVICES: dict[str, Json] = WHOLE["services"]
OURS = {name: service for name, service in SERVICES.items() if str(service["image"]).startswith("opinionwatch:")}
PROMISED = {"kafka", "elasticsearch", "kibana", "topics", "index", "ingest", "score", "score-gpu", "trend", "notify",
            "web", "serve", "mail"}  # fmt: skip


def test_it_is_of_the_compose_schema() -> None:
    assert "ok" in said(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILE)


def test_the_promised_services_are_there() -> None:
    assert set(SERVICES) >= PROMISED
    assert SERVICES["score"]["profiles"] == ["cpu"]
    assert SERVICES["score-gpu"]["profiles"] == ["gpu"]
    [device] = SERVICES["score-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert SERVICES["score-gpu"]["build"]["args"] == {"DEVICE": "cuda"}
    assert SERVICES["score-gpu"]["image"] != SERVICES["score"]["image"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_runs_a_command_that_exists_with_settings_that_exist(name: str) -> None:
    assert understood(OURS[name]["command"]) == []
    for variable in ours(OURS[name]["environment"]):
        assert is_setting(variable), variable


@pytest.mark.parametrize("name", [*OURS, "mail"])
def test_a_service_of_ours_may_do_nothing_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["user"] == "10001:10001"
    assert "privileged" not in service
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))
    assert all(entry.startswith("/tmp:size=") for entry in service["tmpfs"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_tag_and_no_service_gains_privileges(name: str) -> None:
    image = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", SERVICES[name]["image"])
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-cuda)?", tag), image
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]


@pytest.mark.parametrize("name", SERVICES)
def test_only_loopback_is_published(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_kafka_and_elasticsearch_are_on_a_network_without_a_way_out() -> None:
    assert WHOLE["networks"]["backbone"]["internal"] is True
    for name in ("kafka", "elasticsearch"):
        assert SERVICES[name]["networks"] == ["backbone"]


def test_the_scoring_service_is_asked_for_and_has_nothing_but_its_token() -> None:
    serve = SERVICES["serve"]
    assert serve["profiles"] == ["serve"]
    assert serve["secrets"] == ["serve.token"]
    assert serve["networks"] == ["front"]
    assert not serve["depends_on"]
    assert not any("ELASTICSEARCH" in name or "KAFKA" in name for name in serve["environment"])


def test_every_file_that_is_mounted_or_built_from_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            place = volume.split(":")[0]
            assert (COMPOSE / place).exists() if place.startswith(".") else place in WHOLE["volumes"], volume
        if "build" in service:
            assert (COMPOSE / service["build"]["context"]).resolve() == ROOT
            assert (ROOT / service["build"]["dockerfile"]).is_file()
        for entry in service.get("entrypoint", []):
            assert not entry.startswith("/setup/") or (COMPOSE / entry.lstrip("/")).is_file()
    for config in WHOLE["configs"].values():
        assert (COMPOSE / config["file"]).is_file()


def test_every_secret_is_made_by_the_script_and_the_settings_get_theirs() -> None:
    made = set(re.search(r"for name in ([\w. ]+);", (COMPOSE / "secrets.sh").read_text(encoding="utf-8"))[1].split())  # type: ignore[index]  # it is there
    assert {name: f"./secrets/{name}" for name in made} == {n: s["file"] for n, s in WHOLE["secrets"].items()}
    for name, service in SERVICES.items():
        given = set(service.get("secrets", []))
        assert given <= made
        wanted = {value for key, value in ours(service.get("environment", {})).items() if key.endswith("_FILE")}
        wanted = {value for value in wanted if not value.startswith("/")}
        if name not in ("topics", "dashboards"):
            assert wanted <= given, name
    assert secrets_of_settings() <= set(SERVICES["ingest"]["secrets"])


def test_what_waits_for_a_service_waits_for_one_that_is_there_and_can_be_healthy() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], other
            else:
                assert SERVICES[other]["restart"] == "no", f"{other} never completes"


def test_a_daemon_is_asked_for_its_health_and_given_time_to_stop() -> None:
    for name in ("ingest", "score", "score-gpu", "trend", "notify", "web", "serve"):
        assert SERVICES[name]["healthcheck"]["test"] == ["CMD", "probe", "/healthz"]
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > 30
        assert SERVICES[name]["restart"] == "unless-stopped"


def test_every_variable_of_the_file_is_in_the_example_and_the_other_way_round() -> None:
    text = FILE.read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+)", text)) | {"COMPOSE_PROFILES"}
    lines = (COMPOSE / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert used == set(example)
    assert set(re.findall(r"\$\{(\w+):\?", text)) == {name for name, value in example.items() if not value}
    for name, default in re.findall(r"\$\{(\w+):-([^}]+)\}", text):
        assert example[name] == default, name


def test_kafka_makes_no_topic_by_itself() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_commands_in_comments_and_readme_exist() -> None:
    for file in (FILE, COMPOSE / "README.md", ROOT / "README.md"):
        for line in re.findall(r"`(opinionwatch [a-z][^`]*)`", file.read_text(encoding="utf-8")):
            words = [word for word in shlex.split(line.replace("…", "x"))[1:] if word.islower() and word.isalpha()]
            assert not [each for each in understood(words) if each.startswith("no such")], line
