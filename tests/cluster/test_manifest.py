"""docs/kubernetes.yaml: whether it can be read, and whether its parts name each other and this package's command."""

from pathlib import Path

import pytest

from npbsrn import __version__
from npbsrn.cli.parser import make_parser

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def parts():
    yaml = pytest.importorskip("yaml", reason="PyYAML is missing: pip install '.[dask]'")
    return list(yaml.safe_load_all((DOCS / "kubernetes.yaml").read_text()))


def only(parts, kind, *name):
    found = [part for part in parts if part["kind"] == kind and (not name or part["metadata"]["name"] in name)]
    assert len(found) == 1
    return found[0]


def container(part):
    (found,) = part["spec"]["template"]["spec"]["containers"]
    return found


def test_the_job_runs_the_command_on_the_scheduler(parts):
    service = only(parts, "Service")
    (port,) = service["spec"]["ports"]
    address = f"tcp://{service['metadata']['name']}:{port['port']}"
    job = container(only(parts, "Job"))
    program, command = job["command"]
    assert program == "npbsrn"
    arguments = make_parser(command).parse_args(job["args"])
    assert arguments.dask == address
    mounts = tuple(mount["mountPath"] for mount in job["volumeMounts"])
    assert arguments.input[0].startswith(mounts)
    assert arguments.output.startswith(mounts)
    worker = container(only(parts, "Deployment", "npbsrn-worker"))
    assert worker["command"][-1] == address
    assert worker["volumeMounts"] == job["volumeMounts"]  # under the same paths
    scheduler = only(parts, "Deployment", "npbsrn-scheduler")
    assert container(scheduler)["command"][-1] == str(port["targetPort"])
    assert service["spec"]["selector"] == scheduler["spec"]["template"]["metadata"]["labels"]


def test_the_job_waits_for_the_scheduler_and_is_not_repeated_in_vain(parts):
    job, (port,) = only(parts, "Job")["spec"], only(parts, "Service")["spec"]["ports"]
    (waiting,) = job["template"]["spec"]["initContainers"]
    compile(waiting["args"][0], "args", "exec")
    assert f'("npbsrn-scheduler", {port["port"]})' in waiting["args"][0]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == job["template"]["spec"]["containers"][0]["name"]


def test_each_part_selects_its_own_pods(parts):
    for part in parts:
        assert {"apiVersion", "kind", "metadata", "spec"} <= part.keys()
        if part["kind"] == "Deployment":
            assert part["spec"]["selector"]["matchLabels"] == part["spec"]["template"]["metadata"]["labels"]
    labels = {part["spec"]["template"]["metadata"]["labels"]["app"] for part in parts if "template" in part["spec"]}
    policy = only(parts, "NetworkPolicy")["spec"]
    (rule,) = policy["ingress"]
    (who,) = rule["from"]
    assert {*who["podSelector"]["matchExpressions"][0]["values"]} == labels
    assert {*policy["podSelector"]["matchExpressions"][0]["values"]} == labels - {"npbsrn-upscale"}


def test_workers_have_the_memory_that_they_may_take(parts):
    worker = container(only(parts, "Deployment", "npbsrn-worker"))
    options = dict(zip(worker["args"][:-1:2], worker["args"][1::2], strict=True))
    count = int(options["--nworkers"])
    gigabytes = int(options["--memory-limit"].removesuffix("GiB"))
    assert count * gigabytes < int(worker["resources"]["limits"]["memory"].removesuffix("Gi"))
    assert int(worker["resources"]["limits"]["cpu"]) == count * int(options["--nthreads"])


def test_all_pods_have_this_version(parts):
    pods = [part["spec"]["template"]["spec"] for part in parts if "template" in part["spec"]]
    images = {each["image"] for pod in pods for each in [*pod.get("initContainers", []), *pod["containers"]]}
    assert {image.rpartition(":")[2] for image in images} == {__version__}


def test_each_part_is_what_kubernetes_takes(parts):
    schemas = pytest.importorskip("kubernetes_validate", reason="no schemas: pip install kubernetes-validate")
    for part in parts:
        assert schemas.validate(part, schemas.latest_version(), strict=True)  # the version; it raises for what is wrong
