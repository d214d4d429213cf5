"""Walks a pipeline on an emulator of AWS, as CodePipeline would: each action in its order, each build's commands as they
stand, each stack as a change set and its execution, as the role that the action names.

  walk.py --pipelines FILE --documents FILE --source FOLDER --work FOLDER [--branch NAME] [--execution ID]
          [--leave-out ACTION] [--only STAGE/ACTION] [--install]
          [--variable NAME=VALUE] PIPELINE

FILEs are what `deploy/cloudformation/check pipelines` and `check documents` print. The source is a clean checkout. BINARIES
names static binaries, so that the build of a package takes them; without it they are built. Install phases are left out
(they are Debian packages, for root) but with `--install`. The commands of the action `build` are left out, too: they are the
test suite that runs this. So is what `--leave-out` names. `--only` takes one action of a pipeline that was walked before
with the same FOLDERs, on the package of then.

What the emulator refuses of the stacks is left out, as deploy.py does. Prints, as JSON, what was said by each action.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import boto3

from deploy import numbers, refused, without

REGION = os.environ["AWS_REGION"]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Walk:
    def __init__(self, asked):
        self.asked = asked
        self.documents = json.loads(asked.documents.read_text())
        self.package = asked.work / "package"
        self.variables = {"Source": {"BranchName": asked.branch}, "codepipeline": {"PipelineExecutionId": asked.execution}}
        self.said, self.left_out = [], set()

    def told(self, text):
        """A text with its #{...} replaced."""
        return re.sub(r"#\{(\w+)\.(\w+)\}", lambda found: self.variables[found.group(1)][found.group(2)], text)

    def build(self, action):
        source = self.asked.source if action["source"] == "Source" else self.package
        environment = dict(os.environ, CODEBUILD_BUILD_URL="https://console.example.com/build", CODEBUILD_BUILD_ID="headgate:1")
        environment |= {name: self.told(value) for name, value in action["environment"].items()}
        exported = self.asked.work / "exported"
        exported.unlink(missing_ok=True)
        # One shell for all commands, as CodeBuild has it; the first that fails ends it.
        install = action["install"] if self.asked.install else []
        commands = [] if action["name"] == "build" else action["commands"]
        lines = ["set -e", *install, *commands, *(f'printf "%s\\0%s\\0" {name} "${name}" >> "{exported}"' for name in action["exported"])]
        done = subprocess.run(["sh", "-c", "\n".join(lines)], cwd=source, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{action['name']}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        if action["namespace"]:
            parts = exported.read_text().split("\0")[:-1] if exported.exists() else []
            self.variables[action["namespace"]] = dict(zip(parts[::2], parts[1::2]))
        if action["artifacts"] and commands:
            shutil.rmtree(self.package, ignore_errors=True)
            shutil.copytree(source / action["artifacts"], self.package)
        return done.stdout

    def session(self, role):
        given = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="codepipeline")["Credentials"]
        return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=REGION)

    def template(self, path):
        """The packaged template, which has to be the checkout's, less what the emulator refuses."""
        assert (self.package / path).read_bytes() == (self.asked.source / "deploy/cloudformation" / pathlib.Path(path).name).read_bytes(), path
        document = numbers(self.documents[pathlib.Path(path).stem])
        resources = document["Resources"]
        gone = {name for name, resource in resources.items() if refused(resource)}
        self.left_out |= {resources[name]["Type"] for name in gone}
        kept = {name: resource for name, resource in resources.items() if name not in gone}
        return json.dumps({**document, "Resources": without(kept, gone)}) if kept else None

    def deployment(self, action):
        settings = {key: self.told(value) for key, value in action["configuration"].items()}
        session = self.session(action["role"])
        cloudformation, name = session.client("cloudformation"), settings["StackName"]
        if settings["ActionMode"] == "CHANGE_SET_EXECUTE":
            if name in self.unchanged:
                return "nothing to change"
            cloudformation.execute_change_set(StackName=name, ChangeSetName=settings["ChangeSetName"])
            kind = "stack_update_complete" if name in self.there else "stack_create_complete"
            try:
                cloudformation.get_waiter(kind).wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
            except Exception:
                events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
                sys.exit(f"{name}: {[(each['LogicalResourceId'], each.get('ResourceStatusReason')) for each in events if 'FAILED' in each['ResourceStatus']]}")
            return cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        body = self.template(settings["TemplatePath"].split("::")[1])
        if body is None:
            self.unchanged.add(name)
            return "left out"
        configuration = json.loads((self.package / settings["TemplateConfiguration"].split("::")[1]).read_text())
        account = action["role"].split(":")[4]
        bucket, key = f"headgate-artifacts-{account}-{REGION}", f"walk/{name}.json"
        s3 = boto3.Session(aws_access_key_id=account, aws_secret_access_key="test", region_name=REGION).client("s3")
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        url = f"{s3.meta.endpoint_url}/{bucket}/{key}"
        try:
            cloudformation.describe_stacks(StackName=name)
            self.there.add(name)
        except cloudformation.exceptions.ClientError:
            self.there.discard(name)
        if name in self.there:
            # What is replaced; none is fine.
            cloudformation.delete_change_set(StackName=name, ChangeSetName=settings["ChangeSetName"])
        cloudformation.create_change_set(
            StackName=name, ChangeSetName=settings["ChangeSetName"], ChangeSetType="UPDATE" if name in self.there else "CREATE",
            TemplateURL=url, Capabilities=[settings["Capabilities"]], RoleARN=settings["RoleArn"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in configuration["Parameters"].items()],
            Tags=[{"Key": key, "Value": value} for key, value in configuration["Tags"].items()],
        )
        while (found := cloudformation.describe_change_set(StackName=name, ChangeSetName=settings["ChangeSetName"]))["Status"].endswith(("PENDING", "IN_PROGRESS")):
            pass
        if found["Status"] == "FAILED":
            if "didn't contain changes" not in found.get("StatusReason", ""):
                sys.exit(f"{name}: {found.get('StatusReason')}")
            self.unchanged.add(name)
            cloudformation.delete_change_set(StackName=name, ChangeSetName=settings["ChangeSetName"])
            return "nothing to change"
        return f"{len(found['Changes'])} changes"

    def walk(self, pipeline):
        self.variables["variables"] = pipeline["variables"] | dict(each.split("=", 1) for each in self.asked.variable)
        stages = pipeline["stages"]
        self.there, self.unchanged = set(), set()
        for stage in stages:
            for action in stage["actions"]:
                if action["name"] in ("source", *self.asked.leave_out):
                    continue
                if self.asked.only and self.asked.only != f"{stage['name']}/{action['name']}":
                    continue
                if action["provider"] == "CodeBuild":
                    said = self.build(action)
                elif action["provider"] == "CloudFormation":
                    said = self.deployment(action)
                else:
                    said = self.told(action["configuration"]["CustomData"])
                say(f"{stage['name']}, {action['name']}: {said.strip().splitlines()[-1] if said.strip() else ''}")
                self.said.append({"stage": stage["name"], "action": action["name"], "said": said})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pipelines", "documents", "source", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--branch", default="main")
    parser.add_argument("--execution", default="1")
    parser.add_argument("--leave-out", action="append", default=[], metavar="ACTION")
    parser.add_argument("--only", metavar="STAGE/ACTION")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--variable", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("pipeline")
    asked = parser.parse_args()
    walk = Walk(asked)
    walk.walk(json.loads(asked.pipelines.read_text())[asked.pipeline])
    print(json.dumps({"said": walk.said, "left_out": sorted(walk.left_out)}))


if __name__ == "__main__":
    main()
