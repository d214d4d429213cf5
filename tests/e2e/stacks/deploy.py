"""Deploys the stacks of deploy/cloudformation on an emulator of AWS and reads them back:

  deploy.py --transform BINARY --metrics BINARY --registry URL < DOCUMENTS

DOCUMENTS is what `deploy/cloudformation/check documents` prints; AWS_ENDPOINT_URL is set. The functions are these binaries.

Prints, as JSON, each stack's status, its resources and what was left out or changed, and the environment of the gateway's
container as the task definition that was registered has it. Left out is what the emulator refuses. Changed are parameters
of type Number, which are put in as numbers, since it takes them for text (AWS does not), and where the transform function
finds its table: while the emulator's Firehose waits for it, the emulator answers nothing, so the table is at `--registry`.
"""

import argparse
import io
import json
import platform
import sys
import zipfile

import boto3

BUCKET = "artifacts"
DIGEST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/headgate/{}@sha256:" + "0" * 64
GIVEN = {
    "streaming": {
        "ArtifactBucket": BUCKET,
        "TransformCode": "transform.zip",
        "MetricsCode": "metrics.zip",
        "DeduplicateScript": "deduplicate.py",
        # Of the machine that the emulator runs them on.
        "FunctionArchitecture": {"aarch64": "arm64"}.get(platform.machine(), "x86_64"),
    },
    "gateway": {
        "GatewayImage": DIGEST.format("gateway"),
        "AgentImage": DIGEST.format("agent"),
        "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    },
    "loadtest": {"LoadTesterImage": DIGEST.format("loadtest"), "GatewayHost": "play.example.com"},
}
# What the emulator (ministack 1.5.33) has no idea of.
REFUSED = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Athena::NamedQuery",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::Glue::SecurityConfiguration",
    "AWS::Glue::Workflow",
    "AWS::Logs::MetricFilter",
}


def refused(resource):
    """Whether the emulator does: for its type, or as an alarm over more than one metric."""
    of_math = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    return of_math or resource["Type"] in REFUSED


def without(value, gone):
    """`value` less what refers to resources that are gone."""
    if isinstance(value, list):
        return [without(each, gone) for each in value if not refers(each, gone)]
    if isinstance(value, dict):
        return {key: without(each, gone) for key, each in value.items() if not refers(each, gone)}
    return value


def numbers(document):
    """The document with its parameters of type Number put in as what they are by default."""
    defaults = {name: each["Default"] for name, each in document["Parameters"].items() if each["Type"] == "Number"}

    def put_in(value):
        if isinstance(value, list):
            return [put_in(each) for each in value]
        if isinstance(value, dict):
            if len(value) == 1 and value.get("Ref") in defaults:
                return defaults[value["Ref"]]
            return {key: put_in(each) for key, each in value.items()}
        return value

    return {**document, "Resources": put_in(document["Resources"])}


def elsewhere(document, registry):
    """The streaming stack with the transform function's table at another address; and what that changed."""
    variables = document["Resources"]["Transform"]["Properties"]["Environment"]["Variables"]
    variables["AWS_ENDPOINT_URL_DYNAMODB"] = registry
    return ["Transform.Environment.AWS_ENDPOINT_URL_DYNAMODB"]


def zipped(binary):
    """A function's zip. Not packed: that takes its time for a debug build."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        with open(binary, "rb") as file:
            archive.writestr(entry, file.read())
    return code.getvalue()


def refers(value, gone):
    if not isinstance(value, dict) or len(value) != 1:
        return False
    name = value.get("Ref") or (value.get("Fn::GetAtt") or [None])[0]
    return name in gone


def deploy(cloudformation, s3, name, document):
    document = numbers(document)
    resources = document["Resources"]
    gone = {logical_id for logical_id, resource in resources.items() if refused(resource)}
    kept = {logical_id: resource for logical_id, resource in resources.items() if logical_id not in gone}
    if not kept:
        return {"status": "LEFT_OUT", "resources": {}, "left_out": sorted(gone)}
    text = json.dumps({**document, "Resources": without(kept, gone)})
    s3.put_object(Bucket=BUCKET, Key=f"templates/{name}", Body=text)
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in GIVEN.get(name, {}).items()]
    stack = f"headgate-prod-{name}"
    url = f"{s3.meta.endpoint_url}/{BUCKET}/templates/{name}"
    cloudformation.create_stack(StackName=stack, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    waiter = cloudformation.get_waiter("stack_create_complete")
    try:
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except Exception:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = {each["LogicalResourceId"]: each.get("ResourceStatusReason") for each in events if "FAILED" in each["ResourceStatus"]}
        sys.exit(f"{stack}: {reasons}")
    status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    made = {each["LogicalResourceId"]: each["PhysicalResourceId"] for page in pages for each in page["StackResourceSummaries"]}
    return {"status": status, "resources": made, "left_out": sorted(gone)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("transform", "metrics", "registry"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    documents = json.load(sys.stdin)
    changed = elsewhere(documents["streaming"], args.registry)
    s3, cloudformation, ecs = (boto3.client(service) for service in ("s3", "cloudformation", "ecs"))
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for key, binary in (("transform.zip", args.transform), ("metrics.zip", args.metrics)):
        s3.put_object(Bucket=BUCKET, Key=key, Body=zipped(binary))
    stacks = {name: deploy(cloudformation, s3, name, document) for name, document in documents.items()}
    task = ecs.describe_task_definition(taskDefinition="headgate-prod")["taskDefinition"]
    container = next(each for each in task["containerDefinitions"] if each["name"] == "gateway")
    environment = {each["name"]: str(each["value"]) for each in container["environment"]}
    # The emulator forgets a container's secrets; there is one.
    token = boto3.client("secretsmanager").get_secret_value(SecretId=stacks["gateway"]["resources"]["AdminToken"])
    environment["HEADGATE_ADMIN__TOKEN"] = token["SecretString"]
    print(json.dumps({"stacks": stacks, "changed": changed, "environment": environment}))


if __name__ == "__main__":
    main()
