"""What no schema knows of the pipelines: that each role which a stage takes is there, in the right account, and trusts who
takes it; that keys and buckets let in these and no others; that artifacts, projects, commands and names are the same at
both ends; that CloudFormation may do what the stacks' types need; and that a sweep knows all that stacks retain."""

import fnmatch
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import cfnlint
import yaml

from checks.template import FOLDER, ORDER, PIPELINE, PIPELINE_FOLDER, PSEUDO, WORKSPACE

# As the templates are worked out (template.py): where each one is deployed.
SHARED, DEV, PROD = "000000000000", "222222222222", "333333333333"
ACCOUNTS = {"shared": SHARED, "branches": SHARED, "target": DEV, "people": SHARED}
# CloudFormation takes as much without a bucket, and there is none yet.
INLINE_BYTES = 51_200
# What IAM takes, white space not counted.
MANAGED_CHARACTERS, INLINE_CHARACTERS = 6_144, 10_240
# What the variables of builds may be beside those that somebody sets.
OF_CODEBUILD = re.compile(r"^CODEBUILD_\w+$")

# Handlers of resource types name these, too, for properties that the stacks do not use.
NOT_NEEDED = re.compile(
    # Other services' resources that can be tied to ours.
    r"^(cognito-idp|elasticfilesystem|lakeformation|s3files|s3tables|vpc-lattice|vpce):"
    # Contents: CloudFormation has no business with events, keys of games and files.
    r"|^dynamodb:(BatchWriteItem|DeleteItem|GetItem|PutItem|Query|Scan|UpdateItem|\w*Import\w*|\w*Replica|\w*KinesisStreamingDestination)$"
    r"|^kinesis:PutRecords$|^logs:PutLogEvents$|^cloudwatch:GetMetricData$"
    r"|^s3:(AbortMultipartUpload|DeleteObject|GetObjectMetadata|ListBucketMultipartUploads|ListMultipartUploadParts|PutObject|PutObjectAcl)$"
    # Metadata tables, access by attributes, vended logs, capacity, address pools, replication, VPNs.
    r"|^s3:(\w*Metadata\w*Table\w*|PutBucketAbac)$|^logs:(CreateLogDelivery|PutBearerTokenAuthentication|\w*ResourcePolic\w*)$"
    r"|^elasticloadbalancing:(\w*CapacityReservation|ModifyIpPools|RegisterTargets|DeregisterTargets)$"
    r"|^ec2:(\w*Vpn\w*|\w*Ipam\w*|\w*EncryptionControl\w*|DescribeInstances|ModifyVpcTenancy)$"
    r"|^lambda:(\w*CapacityProvider|PublishVersion|AssociateRuntimeAlias|\w*ScalingConfig)$"
    r"|^secretsmanager:\w*Region\w*$|^sns:\w*DataProtection\w*$|^ecs:PutAccountSetting\w*$|^glue:(\w*Connection|GetSchemaVersion)$"
    # All roles by name; and to take a role's bounds off.
    r"|^iam:(ListRoles|DeleteRolePermissionsBoundary)$"
)


def module(name):
    """One of the steps' modules that need no package."""
    if str(PIPELINE_FOLDER) not in sys.path:
        sys.path.insert(0, str(PIPELINE_FOLDER))
    spec = importlib.util.spec_from_file_location(f"pipeline_{name}", PIPELINE_FOLDER / "steps" / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


names = module("names")


def many(value):
    return value if isinstance(value, list) else [value]


def problems(stacks):
    found = []
    if any(name not in stacks for name in PIPELINE):
        return [f"no template {name}.yaml" for name in PIPELINE if name not in stacks], ""
    house = House(stacks)
    pipelines = [(name, each) for name in ("shared", "branches") for each in house.pipelines(name)]
    for name, pipeline in pipelines:
        found += house.pipeline(name, pipeline)
    found += house.assumed()
    found += house.builds_only_read()
    found += house.branches_keep_apart()
    found += house.let_in()
    found += house.parameters()
    found += house.projects()
    found += house.cloudformation()
    found += house.bounds()
    found += house.sizes()
    found += settings(stacks)
    found += retained(stacks)
    actions = sum(len(stage["Actions"]) for _, pipeline in pipelines for stage in pipeline["Stages"])
    return found, f"{len(pipelines)} pipelines, {actions} actions, {len(house.roles)} roles"


class Role:
    def __init__(self, template, account, resource, stack):
        self.template, self.account = template, account
        self.name = resource["RoleName"]
        self.arn = f"arn:aws:iam::{account}:role/{self.name}"
        self.trust = resource["AssumeRolePolicyDocument"]["Statement"]
        policies = [each["PolicyDocument"]["Statement"] for each in resource.get("Policies", [])]
        self.statements = [statement for each in policies for statement in each]
        self.inline = sum(len(json.dumps(each["PolicyDocument"], separators=(",", ":"))) for each in resource.get("Policies", []))

    def trusts(self, principal):
        """Whether it may be taken by a role (an ARN) or a service."""
        for statement in self.trust:
            whom = statement["Principal"]
            if principal in many(whom.get("Service", [])):
                return True
            account = principal.split(":")[4] if principal.startswith("arn:") else None
            if f"arn:aws:iam::{account}:root" in many(whom.get("AWS", [])):
                named = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", [])
                if principal in many(named):
                    return True
        return False

    def may_take(self, arn):
        return any("sts:AssumeRole" in many(each["Action"]) and arn in many(each["Resource"]) for each in self.statements)


class House:
    """Both kinds of accounts, with what the templates make in them."""

    def __init__(self, stacks):
        self.stacks, self.roles = stacks, {}
        for name in ("shared", "branches"):
            self.add_roles(name, SHARED)
        for account, branches in ((DEV, "true"), (PROD, "false")):
            self.add_roles("target", account, {"BranchEnvironments": branches})
        self.made = {name: [each["Properties"] for each in stacks[name].resources("AWS::CodeBuild::Project").values()] for name in ("shared", "branches")}

    def worked_out(self, name, value, given=None, account=SHARED):
        """As `Template.worked_out`, in an account, with resources of ours that have names by these."""
        before = PSEUDO["AWS::AccountId"]
        PSEUDO["AWS::AccountId"] = account
        try:
            return cleaned(self.stacks[name].worked_out(value, given))
        finally:
            PSEUDO["AWS::AccountId"] = before

    def add_roles(self, name, account, given=None):
        stack = self.stacks[name]
        for logical_id, resource in stack.resources("AWS::IAM::Role").items():
            condition = resource.get("Condition")
            if condition and not self.worked_out(name, {"Condition": condition}, given, account):
                continue
            properties = self.worked_out(name, resource["Properties"], given, account)
            if "RoleName" in properties:
                role = Role(name, account, properties, stack)
                self.roles[role.arn] = role

    def pipelines(self, name):
        for resource in self.stacks[name].resources("AWS::CodePipeline::Pipeline").values():
            yield self.worked_out(name, resource["Properties"])

    def own_role(self, name, pipeline):
        """The role that a pipeline works as."""
        logical_id = re.fullmatch(r"the-(\w+)-Arn", pipeline["RoleArn"]).group(1)
        return self.worked_out(name, self.stacks[name].document["Resources"][logical_id]["Properties"]["RoleName"])

    def pipeline(self, name, pipeline):
        where, made = f"{name}.yaml, {pipeline['Name']}", set()
        role = self.roles[f"arn:aws:iam::{SHARED}:role/{self.own_role(name, pipeline)}"]
        if not role.trusts("codepipeline.amazonaws.com"):
            yield f"{where}: CodePipeline can't take {role.name}"
        namespaces, asked_for_approval, variables = {}, False, {each["Name"] for each in pipeline.get("Variables", [])}
        for stage in pipeline["Stages"]:
            production = stage["Name"] == "Prod"
            if production and not asked_for_approval:
                yield f"{where}: production waits for nobody's approval"
            here = f"{where}, {stage['Name']}"
            yield from self.stage_order(here, stage)
            for action in sorted(stage["Actions"], key=lambda each: each.get("RunOrder", 1)):
                place, provider = f"{here}, {action['Name']}", action["ActionTypeId"]["Provider"]
                asked_for_approval |= provider == "Manual"
                for artifact in action.get("InputArtifacts", []):
                    if artifact["Name"] not in made:
                        yield f"{place}: nobody before it makes {artifact['Name']}"
                if provider == "CloudFormation":
                    yield from self.deployment(place, role, action, production)
                if provider == "CodeBuild":
                    yield from self.build(place, name, role, action, namespaces)
                for used in re.findall(r"#\{([\w.]+)\}", json.dumps(action["Configuration"])):
                    space, variable = used.split(".", 1)
                    if space == "variables" and variable not in variables:
                        yield f"{place}: the pipeline has no variable {variable}"
                    elif space not in ("variables", "codepipeline", "Source") and variable not in namespaces.get(space, set()):
                        yield f"{place}: #{{{used}}} is exported by nobody before it"
                if action.get("Namespace") and provider == "CodeBuild":
                    namespaces[action["Namespace"]] = self.exported(name, action)
                made |= {each["Name"] for each in action.get("OutputArtifacts", [])}

    def stage_order(self, here, stage):
        """Stacks come in the order in which they need each other, each as a change set and then its execution."""
        deployments = [each for each in stage["Actions"] if each["ActionTypeId"]["Provider"] == "CloudFormation"]
        if not deployments:
            return
        wanted = names.WITHOUT_NETWORK if "#{Package.ENVIRONMENT}" in deployments[0]["Configuration"]["StackName"] else names.STACKS
        pairs = [(stack, mode) for stack in wanted for mode in ("CHANGE_SET_REPLACE", "CHANGE_SET_EXECUTE")]
        ordered = sorted(deployments, key=lambda each: each["RunOrder"])
        told = [(each["Configuration"]["StackName"].rsplit("-", 1)[1], each["Configuration"]["ActionMode"]) for each in ordered]
        if told != pairs or len({each["RunOrder"] for each in deployments}) != len(deployments):
            yield f"{here}: its stacks are not {', '.join(wanted)}, each a change set and then its execution, one after the other"
        first, last = ordered[0]["RunOrder"], ordered[-1]["RunOrder"]
        steps = {each["Name"]: each["RunOrder"] for each in stage["Actions"] if each["ActionTypeId"]["Provider"] == "CodeBuild"}
        if not steps.get("promote", first) < first:
            yield f"{here}: artifacts are not there before what deploys them"
        if not steps.get("smoke-test", 0) > last:
            yield f"{here}: no smoke test comes after its stacks"
        if "settle" in steps and steps["settle"] < steps.get("smoke-test", 0):
            yield f"{here}: what it holds is noted before it was tested"

    def deployment(self, place, role, action, production):
        settings = action["Configuration"]
        arn = action.get("RoleArn", "")
        account = arn.split(":")[4] if arn else ""
        if account != (PROD if production else DEV):
            yield f"{place}: deploys in the account {account}"
        taken = self.roles.get(arn)
        if not taken:
            yield f"{place}: takes {arn}, which no template makes"
            return
        if not taken.trusts(role.arn):
            yield f"{place}: {taken.name} of {account} does not trust {role.name} of the shared-services account"
        if not role.may_take(arn):
            yield f"{place}: {role.name} may not take {arn}"
        stage = "branch" if "#{Package.ENVIRONMENT}" in settings["StackName"] else "prod" if production else "dev"
        stack = settings["StackName"].rsplit("-", 1)[1]
        environment = "#{Package.ENVIRONMENT}" if stage == "branch" else stage
        if settings["StackName"] != names.stack_name(environment, stack):
            yield f"{place}: calls its stack {settings['StackName']}"
        if settings["ActionMode"] != "CHANGE_SET_REPLACE":
            return
        artifact = action["InputArtifacts"][0]["Name"]
        if settings["TemplatePath"] != f"{artifact}::templates/{stack}.yaml" or not (FOLDER / f"{stack}.yaml").exists():
            yield f"{place}: there is no {settings['TemplatePath']}"
        if settings["TemplateConfiguration"] != f"{artifact}::configuration/{stage}/{stack}.json" or stack not in names.STAGES[stage]:
            yield f"{place}: package makes no {settings['TemplateConfiguration']}"
        service = self.roles.get(settings["RoleArn"])
        if not service or not service.trusts("cloudformation.amazonaws.com") or service.account != account:
            yield f"{place}: CloudFormation can't work as {settings['RoleArn']}"
        elif not any("iam:PassRole" in many(each["Action"]) and "the-CloudFormationRole-Arn" in many(each["Resource"]) for each in taken.statements):
            yield f"{place}: {taken.name} may not hand {service.name} to CloudFormation"

    def project(self, name, reference):
        """The project that an action names: by what it is called, or as a resource of the same template."""
        logical_id = reference.removeprefix("the-")
        if reference != logical_id:
            return self.worked_out(name, self.stacks[name].document["Resources"][logical_id]["Properties"])
        for other, projects in self.made.items():
            for project in projects:
                if project["Name"] == reference:
                    return self.worked_out(other, project)
        return None

    def buildspec(self, project):
        path = WORKSPACE / project["Source"]["BuildSpec"]
        return yaml.safe_load(path.read_text()) if path.exists() else None

    def exported(self, name, action):
        specification = self.buildspec(self.project(name, action["Configuration"]["ProjectName"]))
        return set((specification or {}).get("env", {}).get("exported-variables", []))

    def build(self, place, name, role, action, _namespaces):
        project = self.project(name, action["Configuration"]["ProjectName"])
        if not project:
            yield f"{place}: there is no project {action['Configuration']['ProjectName']}"
            return
        specification = self.buildspec(project)
        if not specification:
            yield f"{place}: there is no {project['Source']['BuildSpec']}"
            return
        own = json.loads(action["Configuration"].get("EnvironmentVariables", "[]"))
        given = {each["Name"] for each in project["Environment"].get("EnvironmentVariables", [])} | {each["name"] for each in own}
        commands = [command for phase in specification["phases"].values() for command in phase["commands"]]
        made = set(re.findall(r"^(\w+)=", "\n".join(commands), re.M))
        for variable in sorted(set(re.findall(r"\$\{?(\w+)", "\n".join(commands))) - given - made):
            if not OF_CODEBUILD.match(variable):
                yield f"{place}: {project['Source']['BuildSpec']} uses ${variable}, which nobody sets"
        for variable in specification.get("env", {}).get("exported-variables", []):
            if variable not in made | given:
                yield f"{place}: {project['Source']['BuildSpec']} exports {variable}, which it never sets"
        if action.get("OutputArtifacts") and "artifacts" not in specification:
            yield f"{place}: {project['Source']['BuildSpec']} leaves no artifact"
        for each in own:
            if each["name"] == "STAGE" and each["value"] not in names.STAGES:
                yield f"{place}: there is no stage {each['value']}"

    def builds_only_read(self):
        """A build runs what a branch says, and a connection can write to the repository, too."""
        for role in self.roles.values():
            if not role.trusts("codebuild.amazonaws.com"):
                continue
            for statement in role.statements:
                for action in many(statement["Action"]):
                    service, _, call = action.partition(":")
                    wanted = statement.get("Condition", {}).get("StringEquals", {})
                    if call == "UseConnection" and wanted.get(f"{service}:ProviderPermissionsRequired") != "read_only":
                        yield f"{role.template}.yaml: {role.name} may push through the connection ({action})"

    def branches_keep_apart(self):
        """Whatever a branch runs pushes no image to where stages pull from."""
        made = {f"the-{logical_id}-Arn" for logical_id in self.stacks["branches"].resources("AWS::ECR::Repository")}
        for role in (each for each in self.roles.values() if each.template == "branches"):
            for statement in role.statements:
                if "ecr:PutImage" in many(statement["Action"]) and set(many(statement["Resource"])) - made:
                    yield f"branches.yaml: {role.name} pushes images to repositories that are not the branches'"

    def assumed(self):
        """Roles that projects take: there, and trusting who takes them."""
        for role in self.roles.values():
            for statement in role.statements:
                if "sts:AssumeRole" not in many(statement["Action"]):
                    continue
                for arn in many(statement["Resource"]):
                    taken = self.roles.get(arn)
                    if not taken:
                        yield f"{role.template}.yaml: {role.name} may take {arn}, which no template makes"
                    elif not taken.trusts(role.arn):
                        yield f"{role.template}.yaml: {arn} does not trust {role.name}"
        for arn, role in self.roles.items():
            for statement in role.trust:
                for principal in many(statement.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", [])):
                    if principal not in self.roles:
                        yield f"{role.template}.yaml: {role.name} trusts {principal}, which no template makes"
                    elif not self.roles[principal].may_take(arn):
                        yield f"{role.template}.yaml: {role.name} trusts {principal}, which never takes it"
        # Each step takes the role that its name says (steps/names.py).
        for stage, step, account in (("dev", "promote", DEV), ("prod", "promote", PROD), ("dev", "smoke-test", DEV), ("prod", "smoke-test", PROD), ("branch", "sweep", DEV)):
            arn = f"arn:aws:iam::{account}:role/{names.role_of(stage, step)}"
            if arn not in self.roles:
                yield f"the step {step} takes {arn}, which no template makes"
        # CloudFormation may change roles of stacks, and must not get at these.
        pattern = "headgate-*-*-*"
        for role in self.roles.values():
            if role.account != SHARED and fnmatch.fnmatchcase(role.name, pattern):
                yield f"{role.template}.yaml: {role.name} looks like a stack's role, and CloudFormation could change it"

    def let_in(self):
        """Of target accounts, the key and the bucket let in two roles each, and no more."""
        wanted = {f"arn:aws:iam::{account}:role/headgate-{role}" for account in (DEV, PROD) for role in ("deploy", "cloudformation")}
        resources = self.worked_out("shared", self.stacks["shared"].document["Resources"])
        policies = {"Key": resources["Key"]["Properties"]["KeyPolicy"], "ArtifactsPolicy": resources["ArtifactsPolicy"]["Properties"]["PolicyDocument"]}
        for logical_id, policy in policies.items():
            let_in, of_production = set(), set()
            for statement in policy["Statement"]:
                principals = statement["Principal"]
                accounts = {each.split(":")[4] for each in many(principals.get("AWS", [])) if each != "*"} if isinstance(principals, dict) else set()
                if not accounts - {SHARED}:
                    continue
                named = set(many(statement.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn", [])))
                let_in |= named or {f"all of {account}" for account in accounts}
                if any("headgate-branches" in str(each) for each in many(statement["Resource"])):
                    of_production |= {each for each in named if PROD in each} | (accounts & {PROD})
            if let_in != wanted:
                yield f"shared.yaml, {logical_id}: lets in {', '.join(sorted(let_in ^ wanted))} or does not, other than the stages need"
            if of_production:
                yield f"shared.yaml, {logical_id}: what branches make can be read from production"
        for arn in sorted(wanted - set(self.roles)):
            yield f"shared.yaml lets in {arn}, which no template makes"
        for logical_id, template, call in (("Artifacts", "shared", names.pipeline_bucket), ("Artifacts", "target", names.artifact_bucket)):
            account = ACCOUNTS[template]
            told = self.worked_out(template, self.stacks[template].document["Resources"][logical_id]["Properties"]["BucketName"], None, account)
            if told != call(account, PSEUDO["AWS::Region"]):
                yield f"{template}.yaml calls its bucket {told}, and the steps {call(account, PSEUDO['AWS::Region'])}"
        secrets = {each["Properties"]["Name"] for each in self.stacks["shared"].resources("AWS::SecretsManager::Secret").values()}
        if secrets != {names.settings_secret(stage) for stage in names.STAGES}:
            yield f"shared.yaml makes the secrets {sorted(secrets)}, which are not one a stage"
        for template, wanted in (("shared", {*names.IMAGES.values(), names.AGENT}), ("branches", {*names.IMAGES_OF_BRANCHES.values()})):
            repositories = {each["Properties"]["RepositoryName"] for each in self.stacks[template].resources("AWS::ECR::Repository").values()}
            if repositories != wanted:
                yield f"{template}.yaml makes the repositories {sorted(repositories)}, and packages need others"

    def parameters(self):
        written = {}
        for name in PIPELINE:
            for resource in self.stacks[name].resources("AWS::SSM::Parameter").values():
                written[self.worked_out(name, resource["Properties"]["Name"])] = name
        read = {parameter["Default"] for name in PIPELINE for parameter in self.stacks[name].parameters.values() if "AWS::SSM::Parameter::Value" in parameter["Type"]}
        for path in sorted(read - set(written)):
            yield f"the pipeline reads {path}, which nobody writes"
        for path in sorted(set(written) - read):
            yield f"nobody reads {path}"

    def projects(self):
        """Projects work as roles that may write to their log and report where they report."""
        for name, projects in self.made.items():
            for raw in projects:
                project = self.worked_out(name, raw)
                logical_id = re.fullmatch(r"the-(\w+)-Arn", project["ServiceRole"]).group(1)
                role = self.roles[f"arn:aws:iam::{SHARED}:role/{self.worked_out(name, self.stacks[name].document['Resources'][logical_id]['Properties']['RoleName'])}"]
                if not role.trusts("codebuild.amazonaws.com"):
                    yield f"{name}.yaml: CodeBuild can't take {role.name}"
                specification = self.buildspec(project)
                for report in (specification or {}).get("reports", {}):
                    group = f"report-group/{project['Name']}-{report}"
                    patterns = [each for statement in role.statements if "codebuild:CreateReport" in many(statement["Action"]) for each in many(statement["Resource"])]
                    if not any(fnmatch.fnmatchcase(group, pattern.split(":")[-1]) for pattern in patterns):
                        yield f"{name}.yaml: {role.name} may not report to {group}"
        used = {path.stem for path in (PIPELINE_FOLDER / "buildspecs").glob("*.yml")}
        for stem in sorted(used):
            yield from shell(stem)
        named = {pathlib.PurePath(project["Source"]["BuildSpec"]).stem for projects in self.made.values() for project in projects}
        for stem in sorted(used - named):
            yield f"no project runs buildspecs/{stem}.yml"

    def cloudformation(self):
        """CloudFormation's role may do what the types of the stacks say that they need."""
        schemas = pathlib.Path(cfnlint.__file__).parent / "data" / "schemas"
        registry = json.loads((schemas / "providers" / "us-east-1.json").read_text())
        known = json.loads((schemas.parent / "AdditionalSpecs" / "Policies.json").read_text())
        types = {resource["Type"] for stack in names.STACKS for resource in self.stacks[stack].document["Resources"].values()}
        granted = {action for statement in self.managed("CloudFormationNetwork", "CloudFormationData", "CloudFormationCompute", "CloudFormationRoles") for action in many(statement["Action"])}
        for kind in sorted(types):
            schema = json.loads((schemas / "resources" / f"{registry[kind]}.json").read_text())
            needed = {action for handler in schema.get("handlers", {}).values() for action in handler.get("permissions", [])}
            for action in sorted(needed - granted):
                service, _, verb = action.partition(":")
                # Some schemas name what is no action of IAM.
                if not NOT_NEEDED.search(action) and verb.lower() in known.get(service, {}).get("Actions", {}):
                    yield f"target.yaml: CloudFormation may not {action}, which {kind} needs"

    def managed(self, *logical_ids):
        for logical_id in logical_ids:
            resource = self.stacks["target"].document["Resources"][logical_id]
            yield from self.worked_out("target", resource["Properties"]["PolicyDocument"]["Statement"], None, DEV)

    def bounds(self):
        """No role of a stack needs more than its bounds allow; and roles can only be made within them."""
        allowed = {action for statement in self.managed("Boundary") for action in many(statement["Action"])}
        for name in ORDER:
            for logical_id, role in self.stacks[name].resources("AWS::IAM::Role").items():
                for policy in role["Properties"].get("Policies", []):
                    for statement in policy["PolicyDocument"]["Statement"]:
                        for action in sorted(set(many(statement["Action"])) - allowed):
                            yield f"target.yaml: the boundary leaves {logical_id} of {name}.yaml no {action}"
        for statement in self.managed("CloudFormationRoles"):
            making = set(many(statement["Action"])) & {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"}
            if making and statement.get("Condition", {}).get("StringEquals", {}).get("iam:PermissionsBoundary") != "the-Boundary":
                yield f"target.yaml: CloudFormation may {sorted(making)} beyond the boundary"
        told = self.stacks["target"].document["Resources"]["Boundary"]["Properties"]["ManagedPolicyName"]
        if not names.boundary(DEV, "aws").endswith(f":policy/{told}"):
            yield f"target.yaml calls the boundary {told}, and package something else"

    def sizes(self):
        for name in PIPELINE:
            if (size := len(self.stacks[name].text.encode())) > INLINE_BYTES:
                yield f"{name}.yaml has {size} bytes: CloudFormation takes {INLINE_BYTES} without a bucket"
            for logical_id, resource in self.stacks[name].resources("AWS::IAM::ManagedPolicy").items():
                document = self.worked_out(name, resource["Properties"]["PolicyDocument"])
                if (size := len(json.dumps(document, separators=(",", ":")))) > MANAGED_CHARACTERS:
                    yield f"{name}.yaml, {logical_id}: {size} characters, and IAM takes {MANAGED_CHARACTERS} in a managed policy"
        for role in self.roles.values():
            if role.inline > INLINE_CHARACTERS:
                yield f"{role.template}.yaml, {role.name}: {role.inline} characters, and IAM takes {INLINE_CHARACTERS} in a role's own policies"


def shell(stem):
    """What shellcheck says of a buildspec's commands."""
    specification = yaml.safe_load((PIPELINE_FOLDER / "buildspecs" / f"{stem}.yml").read_text())
    text = "\n".join(command for phase in specification["phases"].values() for command in phase["commands"]) + "\n"
    program = pathlib.Path(os.environ["HEADGATE_STACK_TOOLS"]) / "bin" / "shellcheck"
    said = subprocess.run([program, "--shell", "sh", "--format", "gcc", "-"], input=text, capture_output=True, text=True)
    yield from (f"buildspecs/{stem}.yml, {line}" for line in said.stdout.splitlines())


def show(stacks):
    """The pipelines as CodePipeline would read them, for a test that walks them: actions in their order, each build with its
    commands and its environment; and the variables, with what they are if nobody says."""
    house, told = House(stacks), {}
    for name in ("shared", "branches"):
        for pipeline in house.pipelines(name):
            stages, variables = [], {each["Name"]: each["DefaultValue"] for each in pipeline.get("Variables", [])}
            told[pipeline["Name"]] = {"variables": variables, "stages": stages}
            for stage in pipeline["Stages"]:
                actions = []
                for action in sorted(stage["Actions"], key=lambda each: each.get("RunOrder", 1)):
                    settings = action["Configuration"]
                    shown = {"name": action["Name"], "provider": action["ActionTypeId"]["Provider"], "namespace": action.get("Namespace"), "role": action.get("RoleArn"), "configuration": settings}
                    if shown["provider"] == "CodeBuild":
                        project = house.project(name, settings["ProjectName"])
                        specification = house.buildspec(project)
                        shown["install"] = specification["phases"].get("install", {}).get("commands", [])
                        shown["commands"] = specification["phases"]["build"]["commands"]
                        shown["exported"] = specification.get("env", {}).get("exported-variables", [])
                        shown["artifacts"] = specification.get("artifacts", {}).get("base-directory")
                        shown["source"] = action["InputArtifacts"][0]["Name"]
                        variables = {each["Name"]: each["Value"] for each in project["Environment"].get("EnvironmentVariables", [])}
                        shown["environment"] = variables | {each["name"]: each["value"] for each in json.loads(settings.get("EnvironmentVariables", "[]"))}
                    actions.append(shown)
                stages.append({"name": stage["Name"], "actions": actions})
    print(json.dumps(told))


def cleaned(value):
    """Less what is AWS::NoValue."""
    if isinstance(value, list):
        return [cleaned(each) for each in value if each != "the-nothing"]
    if isinstance(value, dict):
        return {key: cleaned(each) for key, each in value.items() if each != "the-nothing"}
    return value


def settings(stacks):
    """What the repository sets for stages are parameters that the stacks have."""
    for stage, deployed in names.STAGES.items():
        for stack, values in json.loads((PIPELINE_FOLDER / "stages" / f"{stage}.json").read_text()).items():
            if stack not in deployed:
                yield f"stages/{stage}.json: {stage} has no stack {stack}"
                continue
            for name, value in values.items():
                parameter = stacks[stack].parameters.get(name)
                if not parameter:
                    yield f"stages/{stage}.json: {stack}.yaml has no parameter {name}"
                elif str(value) not in {str(each) for each in parameter.get("AllowedValues", [value])}:
                    yield f"stages/{stage}.json: {stack}.yaml takes no {value} as {name}"
    if names.STACKS + ["loadtest"] != ORDER:
        yield "the steps deploy other stacks, or in another order"


def retained(stacks):
    """A sweep deletes what a deleted stack leaves behind."""
    text = (PIPELINE_FOLDER / "steps" / "sweep.py").read_text()
    known = set(re.findall(r'^    "(AWS::\w+::\w+)":', text, re.M)) | set(re.findall(r'"(AWS::\w+::\w+)"', re.search(r"^WITH_OTHERS = (.+)$", text, re.M).group(1)))
    for stack in names.WITHOUT_NETWORK:
        for kind in sorted({each["Type"] for each in stacks[stack].document["Resources"].values() if each.get("DeletionPolicy") == "Retain"}):
            if kind not in known:
                yield f"{stack}.yaml retains {kind}, which a sweep does not take away"
