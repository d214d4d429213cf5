"""Template configurations: what each stack of a stage is given. From the repository (stages/STAGE.json), from the stage's
secret, which wins, and from the package itself, which wins over both."""

import json
import re

import botocore.exceptions

from steps import aws
from steps.names import (
    BRANCH_TAG, HERE, NETWORK_OF_BRANCHES, STAGES, TEMPLATES, Failure, boundary, settings_secret, stack_name, tag_of,
)


def parameters(text):
    """A template's parameters: name to (type, whether it has a default)."""
    block = re.search(r"^Parameters:\n(.*?)(?=^\S)", text, re.M | re.S)
    found = {}
    for name, body in re.findall(r"^  (\w+):\n((?:    .*\n|\n|  #.*\n)+)", block.group(1) if block else "", re.M):
        default = re.search(r"^    Default:(.*)$", body, re.M)
        found[name] = (re.search(r"^    Type: (.+)$", body, re.M).group(1), default and default.group(1).strip())
    return found


def of_repository(stage):
    return json.loads((HERE / "stages" / f"{stage}.json").read_text())


def of_secret(stage):
    name = settings_secret(stage)
    try:
        return json.loads(aws.here().client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
    except botocore.exceptions.ClientError as error:
        raise Failure(f"the secret {name} can't be read (docs/releasing.md, set up): {error}") from error
    except ValueError as error:
        raise Failure(f"the secret {name} is no JSON object: {error}") from error


def merged(stage, environment):
    """What people have set, by stack. HOST in a value is the environment's name, for branches."""
    given = {stack: dict(values) for stack, values in of_repository(stage).items()}
    for stack, values in of_secret(stage).items():
        given.setdefault(stack, {}).update(values)
    unknown = set(given) - set(STAGES[stage])
    if unknown:
        raise Failure(f"{stage}: there is no stack {', '.join(sorted(unknown))}")
    return {stack: {key: str(value).replace("ENVIRONMENT", environment) for key, value in values.items()} for stack, values in given.items()}


def configurations(stage, environment, account, branch, made):
    """The template configuration of every stack of a stage; `made` are parameters by stack that the package sets."""
    given, found = merged(stage, environment), {}
    for stack in STAGES[stage]:
        known = parameters((TEMPLATES / f"{stack}.yaml").read_text())
        values = {}
        for name, (kind, default) in known.items():
            if "AWS::SSM::Parameter::Value" in kind:
                path = default.removeprefix("/headgate/prod/")
                source = NETWORK_OF_BRANCHES if stage == "branch" and path.startswith("network/") else environment
                values[name] = f"/headgate/{source}/{path}"
        if "Environment" in known:
            values["Environment"] = environment
        if "PermissionsBoundary" in known:
            values["PermissionsBoundary"] = boundary(account, aws.partition())
        values.update(given.get(stack, {}))
        values.update(made.get(stack, {}))
        strange = sorted(set(values) - set(known))
        if strange:
            raise Failure(f"{stage}: {stack}.yaml has no parameter {', '.join(strange)}")
        missing = sorted(name for name, (_, default) in known.items() if default is None and name not in values)
        if missing:
            raise Failure(f"{stage}: {stack}.yaml needs {', '.join(missing)}: put it into the secret {settings_secret(stage)}, under \"{stack}\"")
        tags = {"headgate:environment": environment, "headgate:stack": stack}
        if branch:
            tags[BRANCH_TAG] = tag_of(branch)
        found[stack] = {"Parameters": dict(sorted(values.items())), "Tags": tags}
        assert len(stack_name(environment, stack)) <= 128
    return found
