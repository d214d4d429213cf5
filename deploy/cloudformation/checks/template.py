"""Templates as Python sees them: read with CloudFormation's short tags, and worked out for one set of parameters."""

import pathlib
import re

import yaml

FOLDER = pathlib.Path(__file__).resolve().parent.parent
WORKSPACE = FOLDER.parent.parent
PIPELINE_FOLDER = WORKSPACE / "deploy" / "pipeline"
# An environment's, in the order in which they are deployed. `queries` is made of deploy/queries, where there are any.
ORDER = ["network", "data", "streaming", "gateway", "ops", "queries", "loadtest"]
# What a game's team may copy: each in a folder of its own, and held to the same.
SAMPLES = ["leaderboard"]
# The pipeline's, in theirs: of the shared-services account, of each target account, and of any.
PIPELINE = ["shared", "target", "branches", "people"]

PSEUDO = {
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::StackName": "stack",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/stack/1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": "the-nothing",
}
# Values for parameters that have no default.
GIVEN = {
    "GatewayImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/headgate/gateway@sha256:" + "0" * 64,
    "AgentImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/headgate/agent@sha256:" + "0" * 64,
    "LoadTesterImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/headgate/loadtest@sha256:" + "0" * 64,
    "GatewayHost": "play.example.com",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    "ArtifactBucket": "artifacts",
    "TransformCode": "transform.zip",
    "MetricsCode": "metrics.zip",
    "DeduplicateScript": "deduplicate.py",
    "LeaderboardCode": "leaderboard.zip",
    "SharedAccount": "000000000000",
    "DevAccount": "222222222222",
    "ProdAccount": "333333333333",
    "UsersAccount": "000000000000",
    "Kind": "shared",
    "Repository": "headgate/headgate",
    "PipelineKeyArn": "arn:aws:kms:eu-west-1:000000000000:key/1",
}


class Loader(yaml.SafeLoader):
    """YAML 1.2's idea of strings is CloudFormation's; dates and the like stay text."""


def _short_tag(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


Loader.add_multi_constructor("!", _short_tag)


class Template:
    """One template."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.document = yaml.load(text, Loader)

    @property
    def parameters(self):
        return self.document.get("Parameters", {})

    def resources(self, kind):
        """The resources of a type, by logical id."""
        found = self.document["Resources"].items()
        return {name: resource for name, resource in found if resource["Type"] == kind}

    def worked_out(self, value, given=None):
        """`value` with its functions carried out for these parameters."""
        return _Scope(self, given or {}).work_out(value)


class _Scope:
    def __init__(self, template, given):
        self.template, self.given = template, given

    def ref(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        parameter = self.template.parameters.get(name)
        if parameter is None:
            assert name in self.template.document["Resources"], f"nothing is called {name}"
            return f"the-{name}"
        if name in self.given:
            return self.given[name]
        if "AWS::SSM::Parameter::Value" in parameter["Type"]:
            return parameter["Default"].rsplit("/", 1)[1]
        return str(parameter["Default"] if "Default" in parameter else GIVEN[name])

    def condition(self, name):
        return self.work_out(self.template.document["Conditions"][name])

    def work_out(self, value):
        if isinstance(value, list):
            return [self.work_out(each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), = value.items()
            if name == "Ref":
                return self.ref(argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return getattr(self, "fn_" + name[4:].lower())(argument)
        return {key: self.work_out(each) for key, each in value.items()}

    def fn_sub(self, argument):
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def replaced(found):
            name = found.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in variables:
                return str(self.work_out(variables[name]))
            return self.fn_getatt(name.split(".", 1)) if "." in name else str(self.ref(name))

        return re.sub(r"\$\{([^}]+)\}", replaced, text)

    def fn_getatt(self, argument):
        name, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        assert name in self.template.document["Resources"], f"nothing is called {name}"
        return f"the-{name}-{attribute}"

    def fn_if(self, argument):
        return self.work_out(argument[1] if self.condition(argument[0]) else argument[2])

    def fn_equals(self, argument):
        one, other = (str(self.work_out(each)) for each in argument)
        return one == other

    def fn_not(self, argument):
        return not self.work_out(argument[0])

    def fn_and(self, argument):
        return all(self.work_out(each) for each in argument)

    def fn_or(self, argument):
        return any(self.work_out(each) for each in argument)

    def fn_join(self, argument):
        return argument[0].join(str(each) for each in self.work_out(argument[1]))

    def fn_split(self, argument):
        return self.work_out(argument[1]).split(argument[0])

    def fn_select(self, argument):
        return self.work_out(argument[1])[int(argument[0])]

    def fn_findinmap(self, argument):
        mapping, first, second = (self.work_out(each) for each in argument)
        return self.template.document["Mappings"][mapping][first][second]

    def fn_getazs(self, _argument):
        return ["eu-west-1a", "eu-west-1b", "eu-west-1c"]


def path_of(name):
    if name in SAMPLES:
        return WORKSPACE / "deploy" / "samples" / name / f"{name}.yaml"
    return (PIPELINE_FOLDER if name in PIPELINE else FOLDER) / f"{name}.yaml"


def shipped(changed=None):
    """The templates by name; `changed` gives others' text in place of a file's."""
    changed, found = changed or {}, {}
    for name in ORDER + PIPELINE + SAMPLES:
        path = path_of(name)
        if name in changed or path.exists():
            found[name] = Template(name, changed.get(name) or path.read_text())
    return found
