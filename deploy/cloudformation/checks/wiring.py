"""What no schema knows: which stack reads what another writes, and which figures have to fit together."""

import re

from checks.environment import container, environment
from checks.template import FOLDER, ORDER, SAMPLES, WORKSPACE

DOCKERFILE = WORKSPACE / "deploy" / "container" / "Dockerfile"
SETTINGS = WORKSPACE / "gateway" / "src" / "config"
# Written for whoever comes with a query or a client.
FOR_OTHERS = {"data/database", "data/workgroup"}
SMOKE_TEST = WORKSPACE / "deploy" / "pipeline" / "steps" / "smoke_test.py"
# Memory that Fargate pairs with CPU units, in MiB (least and most).
FARGATE = {1024: (2048, 8192), 2048: (4096, 16384), 4096: (8192, 30720), 8192: (16384, 61440), 16384: (32768, 122880)}
# Seconds between the end of a drain and the kill that Fargate sends after StopTimeout.
MARGIN = 5


def problems(stacks):
    found = []
    written, read = {}, set()
    for name in (each for each in ORDER + SAMPLES if each in stacks):
        stack = stacks[name]
        for logical_id, parameter in stack.parameters.items():
            if "AWS::SSM::Parameter::Value" in parameter["Type"]:
                path = parameter["Default"].removeprefix("/headgate/prod/")
                read.add(path)
                if path not in written:
                    found.append(f"{name}.yaml reads {path} ({logical_id}), which no stack before it writes")
        for logical_id, resource in stack.resources("AWS::SSM::Parameter").items():
            path = stack.worked_out(resource["Properties"]["Name"]).removeprefix("/headgate/prod/")
            written[path] = name
            if not path.startswith(f"{name}/"):
                found.append(f"{name}.yaml writes {path} ({logical_id}), in another stack's place")
    by_script = {f"loadtest/{name}" for name in re.findall(r'told_of\("([\w-]+)"\)', (FOLDER / "loadtest").read_text())}
    by_smoke_test = set(re.findall(r'told\(session, environment, "([\w/-]+)"\)', SMOKE_TEST.read_text()))
    found += [f"the smoke test reads {path}, which no stack writes" for path in sorted(by_smoke_test - set(written))]
    if "loadtest" in stacks:
        found += [f"the script loadtest reads {path}, which no stack writes" for path in sorted(by_script - set(written))]
        found += load_test(stacks["loadtest"])
    found += [f"nobody reads {path}" for path in sorted(set(written) - read - by_script - by_smoke_test - FOR_OTHERS)]
    if "gateway" in stacks:
        found += gateway(stacks["gateway"])
    if "data" in stacks:
        found += tables(stacks["data"])
    found += alarms_are_explained(stacks)
    return found, f"{len(written)} parameters"


def gateway(stack):
    definition = container(stack)
    variables = environment(stack, "kinesis")
    drain = int(re.fullmatch(r"(\d+)s", variables["HEADGATE_LIFECYCLE__DRAIN_DEADLINE"]).group(1))
    if drain + MARGIN > definition["StopTimeout"]:
        yield f"a drain may take {drain} s, but the container is killed after {definition['StopTimeout']} s"
    yield from sizes(stack)
    listening = {int(variables[f"HEADGATE_{door}__LISTEN"].rsplit(":", 1)[1]) for door in ("GRPC", "REST", "OPERATE")}
    if listening != {each["ContainerPort"] for each in definition["PortMappings"]}:
        yield f"the gateway listens on {listening}, which are not the container's ports"
    mounted = {each["ContainerPath"] for each in definition["MountPoints"]}
    if variables["HEADGATE_DATA_DIR"] not in mounted:
        yield "the gateway's data folder is on no volume, and the rest of the container can't be written"
    yield from peers(variables)
    yield from image(definition)


def peers(variables):
    """The load balancer hides addresses: a limit for each of them is one for all clients together."""
    for door in ("grpc", "rest"):
        most = re.search(r"^ +max_connections: ([0-9_]+),$", (SETTINGS / f"{door}.rs").read_text(), re.M).group(1)
        allowed = variables.get(f"HEADGATE_{door.upper()}__MAX_CONNECTIONS_PER_PEER")
        if allowed != most.replace("_", ""):
            yield f"{allowed} connections to {door} may come from the load balancer, of {most} in all"


def image(definition):
    """The container, and what the image's Dockerfile says."""
    dockerfile = DOCKERFILE.read_text()
    entry_point = re.findall(r'^ENTRYPOINT \["(.+)"\]$', dockerfile, re.M)[-1]
    asked = definition.get("HealthCheck", {}).get("Command", [])
    if asked[:3] != ["CMD", entry_point, "healthcheck"]:
        yield f"ECS asks {asked} whether a task is well, which the image (no shell, {entry_point}) does not know"
    if "--ready" in asked:
        yield "ECS kills tasks that are not ready, such as those whose destination is down"
    volumes = set(re.findall(r"^VOLUME (\S+)$", dockerfile, re.M))
    if not volumes <= {each["ContainerPath"] for each in definition["MountPoints"]}:
        yield f"the image's {volumes} are not mounted, so nobody may write there"
    exposed = {int(port) for port in re.search(r"^EXPOSE (.+)$", dockerfile, re.M).group(1).split()}
    if exposed != {each["ContainerPort"] for each in definition["PortMappings"]}:
        yield f"the image exposes {exposed}, which are not the container's ports"


def sizes(stack):
    for size, pair in stack.document["Mappings"]["Sizes"].items():
        least, most = FARGATE.get(int(pair["Cpu"]), (1, 0))
        if not least <= int(pair["Memory"]) <= most:
            yield f"{stack.name}.yaml, TaskSize {size}: Fargate does not pair {pair['Cpu']} CPU units with {pair['Memory']} MiB"


def load_test(stack):
    yield from sizes(stack)
    definition = stack.worked_out(container(stack, "load-tester"))
    command, variables = definition["Command"], {each["Name"]: each["Value"] for each in definition["Environment"]}
    flags = dict(zip(command[1::2], command[2::2]))
    host = re.fullmatch(r"https://([^:]+):\d+", flags["--host"])
    if command[0] != "run" or not host or host.group(1) != flags["--i-own-this-target"]:
        yield "the load tester's command does not load, over TLS, the host that it names as its own"
    # What the load tester looks for (docs/load-testing.md, keys).
    if [each["Name"] for each in definition["Secrets"]] != ["HEADGATE_API_KEY"]:
        yield "the load tester does not get its keys"
    mounted = {each["ContainerPath"] for each in definition["MountPoints"]}
    if {definition["WorkingDirectory"], variables["TMPDIR"]} - mounted:
        yield "the load tester keeps its result on no volume, and the rest of the container can't be written"


def tables(stack):
    columns = {}
    for resource in stack.resources("AWS::Glue::Table").values():
        table = resource["Properties"]["TableInput"]
        descriptor = table["StorageDescriptor"]
        columns[table["Name"]] = [(each["Name"], each["Type"]) for each in descriptor["Columns"] + table["PartitionKeys"]]
        for key in table["PartitionKeys"]:
            kind = table["Parameters"].get(f"projection.{key['Name']}.type")
            place = stack.worked_out(table["Parameters"]["storage.location.template"])
            if kind is None or f"{key['Name']}=${{{key['Name']}}}/" not in place:
                yield f"{table['Name']}: the partition {key['Name']} is not projected"
    if columns["raw_events"] != columns["processed_events"]:
        yield "raw_events and processed_events have other columns"


def alarms_are_explained(stacks):
    page = (WORKSPACE / "docs" / "operating.md").read_text()
    for name, stack in stacks.items():
        for resource in stack.resources("AWS::CloudWatch::Alarm").values():
            alarm = stack.worked_out(resource["Properties"]["AlarmName"]).removeprefix("headgate-prod-")
            if f"`{alarm}`" not in page:
                yield f"docs/operating.md does not say what to do when `{alarm}` ({name}.yaml) rings"
