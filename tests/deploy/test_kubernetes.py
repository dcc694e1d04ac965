"""The Kubernetes overlays: rendered by kubectl itself, of the schemas, and whole."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from opinionwatch.pipeline.settings import load
from opinionwatch.pipeline.settings_kafka import Kafka
from opinionwatch.pipeline.topics import partitions_of, topic_of
from tests.deploy.files import COMPOSE, SETTINGS, Json, is_setting, keys, said, secrets_of_settings, tool, understood

FOLDER = COMPOSE / "kubernetes"
OVERLAYS = ("base", "overlays/dev", "overlays/gpu")
VERSION = "1.34"
ROLES = {"ingest", "score", "trend", "notify", "web", "serve"}
WORKLOADS = ("Deployment", "StatefulSet", "Job")


@cache
def rendered(overlay: str) -> tuple[Json, ...]:
    """What an overlay comes to."""
    return tuple(yaml.safe_load_all(said(tool("kubectl"), "kustomize", FOLDER / overlay)))


def of_kind(overlay: str, *kinds: str) -> dict[str, Json]:
    """Objects of these kinds, by name."""
    return {each["metadata"]["name"]: each for each in rendered(overlay) if each["kind"] in kinds}


def pods(overlay: str) -> dict[str, Json]:
    """Pod templates by the name of what makes them."""
    once = {name: each["spec"] for name, each in of_kind(overlay, *WORKLOADS).items()}
    again = {name: each["spec"]["jobTemplate"]["spec"] for name, each in of_kind(overlay, "CronJob").items()}
    return {name: spec["template"] for name, spec in (once | again).items()}


def ours(overlay: str) -> dict[str, Json]:
    """Those of our own image."""
    return {name: pod for name, pod in pods(overlay).items() if name.startswith("opinionwatch")}


def selects(selector: Json, labels: Json) -> bool:
    """Whether a label selector selects."""
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return plain and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"]
        for each in selector.get("matchExpressions", [])
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_of_its_schema(overlay: str, tmp_path: Path) -> None:
    file = tmp_path / "rendered.yaml"
    builtin = [each for each in rendered(overlay) if not each["apiVersion"].startswith("keda.sh/")]
    file.write_text(yaml.safe_dump_all(builtin), encoding="utf-8")
    said(tool("kubernetes-validate"), "--strict", "--kubernetes-version", VERSION, file)


def test_a_wrong_field_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    [web] = [
        each
        for each in rendered("base")
        if each["metadata"]["name"] == "opinionwatch-web" and "template" in each["spec"]
    ]
    file.write_text(yaml.safe_dump({**web, "spec": {**web["spec"], "replica": 2}}), encoding="utf-8")
    with pytest.raises(AssertionError, match="replica"):
        said(tool("kubernetes-validate"), "--strict", "--kubernetes-version", VERSION, file)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_role_is_there_and_runs_a_command_that_exists(overlay: str) -> None:
    assert {name.removeprefix("opinionwatch-") for name in ours(overlay)} >= ROLES
    for pod in ours(overlay).values():
        [container] = pod["spec"]["containers"]
        assert understood(container["args"]) == []
        assert "command" not in container
        for entry in container.get("env", []):
            assert is_setting(entry["name"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert probe in container or pod["spec"].get("restartPolicy") == "OnFailure"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_retention_is_kept_every_day(overlay: str) -> None:
    [retire] = of_kind(overlay, "CronJob").values()
    minute, hour, *rest = retire["spec"]["schedule"].split()
    assert minute.isdecimal()
    assert hour.isdecimal()
    assert rest == ["*", "*", "*"]
    [container] = pods(overlay)["opinionwatch-retire"]["spec"]["containers"]
    assert container["args"][:2] == ["index", "retire"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_keeps_to_the_restricted_standard_and_ours_write_nothing(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context.get("readOnlyRootFilesystem", False) is name.startswith("opinionwatch")
            assert container["resources"]["limits"]["memory"]
    for role in ROLES - {"topics", "index"}:
        assert ours(overlay)[f"opinionwatch-{role}"]["spec"]["terminationGracePeriodSeconds"] > 30


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_image_has_a_tag(overlay: str) -> None:
    images = {str(value) for each in rendered(overlay) for key, value in keys(each) if key == "image"}
    assert images
    for image in images:
        assert re.fullmatch(r"[\w.-]+\.[\w.-]+/[\w./-]+:v?\d+\.\d+(\.\d+)?(-cuda)?", image), image


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_mounted_and_read_from_is_there(overlay: str) -> None:
    maps = of_kind(overlay, "ConfigMap")
    for name, pod in ours(overlay).items():
        volumes = {each["name"]: each for each in pod["spec"].get("volumes", [])}
        claimed = of_kind(overlay, "StatefulSet").get(name, {"spec": {}})["spec"].get("volumeClaimTemplates", [])
        names = set(volumes) | {claim["metadata"]["name"] for claim in claimed}
        [container] = pod["spec"]["containers"]
        assert {each["name"] for each in container["volumeMounts"]} <= names, name
        assert volumes["settings"]["configMap"]["name"] in maps
        assert volumes["secrets"]["secret"]["secretName"] == "opinionwatch"
        assert all(each["configMapRef"]["name"] in maps for each in container["envFrom"])
    [settings] = [each for name, each in maps.items() if name.startswith("opinionwatch-settings")]
    assert settings["data"] == {"opinionwatch.yaml": SETTINGS.read_text(encoding="utf-8")}, "one settings file for all"


def environment(overlay: str) -> dict[str, str]:
    """The variables that every pod of ours gets."""
    [found] = [
        each for name, each in of_kind(overlay, "ConfigMap").items() if name.startswith("opinionwatch-environment")
    ]
    return dict(found["data"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_secrets_that_are_wanted_are_the_ones_the_reader_is_told_to_make(overlay: str) -> None:
    wanted = {value for name, value in environment(overlay).items() if name.endswith("_FILE")} | secrets_of_settings()
    for pod in ours(overlay).values():
        [container] = pod["spec"]["containers"]
        wanted |= {each["value"] for each in container.get("env", []) if each["name"].endswith("_FILE")}
    told = (FOLDER / "base" / "kustomization.yaml").read_text(encoding="utf-8").partition("apiVersion")[0]
    assert all(name in told for name in wanted), wanted


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_policy_budget_and_service_selects_a_pod(overlay: str) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(overlay).values()]
    selectors = [each["spec"]["podSelector"] for each in of_kind(overlay, "NetworkPolicy").values()]
    selectors += [each["spec"]["selector"] for each in of_kind(overlay, "PodDisruptionBudget").values()]
    selectors += [{"matchLabels": each["spec"]["selector"]} for each in of_kind(overlay, "Service").values()]
    assert selectors
    for selector in selectors:
        assert any(selects(selector, given) for given in labels), selector


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_of_ours_is_reached_or_reaches_out_unless_a_policy_says_so(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy").values()
    for name, pod in ours(overlay).items():
        mine = [each["spec"] for each in policies if selects(each["spec"]["podSelector"], pod["metadata"]["labels"])]
        assert {"Ingress", "Egress"} <= {kind for spec in mine for kind in spec["policyTypes"]}, name
        world = [each for spec in mine for rule in spec.get("egress", []) for each in rule["to"] if "ipBlock" in each]
        assert bool(world) == (name in ("opinionwatch-ingest", "opinionwatch-notify")), name
        asked = [rule for spec in mine for rule in spec.get("ingress", [])]
        assert bool(asked) == (name in ("opinionwatch-ingest", "opinionwatch-web", "opinionwatch-serve")), name


@pytest.mark.parametrize("overlay", ["base", "overlays/gpu"])
def test_keda_scales_score_workers_on_the_lag_of_the_topic_they_read(overlay: str) -> None:
    [scaled] = of_kind(overlay, "ScaledObject").values()
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    spec = scaled["spec"]
    known = {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "cooldownPeriod",
        "advanced",
        "triggers",
    }
    assert set(spec) <= known
    target = of_kind(overlay, "Deployment")[spec["scaleTargetRef"]["name"]]
    assert "replicas" not in target["spec"], "KEDA's number must not be fought over"
    kafka: Kafka = load(SETTINGS).kafka
    assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= partitions_of(kafka, "documents")
    [trigger] = spec["triggers"]
    assert trigger["type"] == "kafka"
    given = trigger["metadata"]
    assert all(isinstance(value, str) for value in given.values()), "KEDA takes strings only"
    assert given["topic"] == topic_of(kafka, "documents")
    assert given["consumerGroup"] == f"{kafka.prefix}.documents"
    assert [given["bootstrapServers"]] == json.loads(environment(overlay)["OPINIONWATCH__KAFKA__SERVERS"])
    assert (given["tls"] == "enable") == (environment(overlay)["OPINIONWATCH__KAFKA__SECURITY"] == "SSL")


def test_the_dev_overlay_needs_nothing_from_elsewhere() -> None:
    assert not of_kind("overlays/dev", "ScaledObject")
    services = of_kind("overlays/dev", "Service")
    wanted = json.loads(environment("overlays/dev")["OPINIONWATCH__KAFKA__SERVERS"])
    wanted += json.loads(environment("overlays/dev")["OPINIONWATCH__ELASTICSEARCH__HOSTS"])
    for address in (*wanted, "mail:1025"):
        host, port = address.removeprefix("http://").split(":")
        assert int(port) in {each["port"] for each in services[host]["spec"]["ports"]}


def test_the_gpu_overlay_asks_for_one_gpu_a_worker_and_the_cuda_image() -> None:
    [container] = pods("overlays/gpu")["opinionwatch-score"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["image"].endswith("-cuda")
    assert container["args"][:2] == ["worker", "score"]
    others = {name: pod for name, pod in ours("overlays/gpu").items() if name != "opinionwatch-score"}
    assert "nvidia" not in yaml.safe_dump(others)
