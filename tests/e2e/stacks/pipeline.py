"""Deploys the pipeline's templates (deploy/pipeline) into three accounts of an emulator of AWS, and reads them back:

  pipeline.py deploy < DOCUMENTS
  pipeline.py left ENVIRONMENT
  pipeline.py token ENVIRONMENT

DOCUMENTS is what `deploy/cloudformation/check pipeline-documents` prints; AWS_ENDPOINT_URL is set. An access key of twelve
digits is the emulator's way to say which account; its registry of images knows the first one only.

`deploy` prints, as JSON, what each stack came to by account, what was left out because the emulator refuses its type, and
what is there by name: roles, projects, repositories, buckets and secrets. Then it gives each stage settings, as
docs/releasing.md says, and an image of sorts for the agent. `left` prints what the account for development still has of an
environment, `token` the administrators' token of one there.
"""

import argparse
import hashlib
import json
import os
import sys

import boto3

from deploy import without

SHARED, DEV, PROD = "000000000000", "222222222222", "333333333333"
# What the emulator (ministack 1.5.33) has no idea of.
REFUSED = {"AWS::CodePipeline::Pipeline", "AWS::IAM::Group"}
SOURCE = {
    "ConnectionArn": f"arn:aws:codeconnections:eu-west-1:{SHARED}:connection/1",
    "Repository": "headgate/headgate",
}


def session(account):
    return boto3.Session(aws_access_key_id=account, aws_secret_access_key="test", region_name=os.environ["AWS_REGION"])


def deploy(account, name, document, given):
    gone = sorted(key for key, resource in document["Resources"].items() if resource["Type"] in REFUSED)
    kept = without({key: resource for key, resource in document["Resources"].items() if key not in gone}, set(gone))
    cloudformation = session(account).client("cloudformation")
    stack = f"headgate-{name}"
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=json.dumps({**document, "Resources": kept}),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    try:
        cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    except Exception:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = {each["LogicalResourceId"]: each.get("ResourceStatusReason") for each in events if "FAILED" in each["ResourceStatus"]}
        sys.exit(f"{stack} in {account}: {reasons}")
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    return {"status": described["StackStatus"], "left_out": gone, "outputs": outputs}


def made(account):
    of = session(account).client
    roles = [each["RoleName"] for page in of("iam").get_paginator("list_roles").paginate() for each in page["Roles"]]
    return {
        "roles": sorted(each for each in roles if each.startswith("headgate-")),
        "users": sorted(each["UserName"] for each in of("iam").list_users()["Users"]),
        "projects": sorted(of("codebuild").list_projects()["projects"]),
        "repositories": sorted(each["repositoryName"] for each in of("ecr").describe_repositories()["repositories"]),
        "buckets": sorted(each["Name"] for each in of("s3").list_buckets()["Buckets"]),
        "secrets": sorted(each["Name"] for each in of("secretsmanager").list_secrets()["SecretList"]),
    }


def settings():
    """A value for the secret of each stage."""
    shared = session(SHARED).client
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []})
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    shared("ecr").put_image(repositoryName="headgate/agent", imageManifest=manifest, imageDigest=digest, imageTag="1.0", imageManifestMediaType="application/vnd.oci.image.manifest.v1+json")
    for stage, account in (("dev", DEV), ("prod", PROD), ("branch", DEV)):
        gateway = {
            "CertificateArn": f"arn:aws:acm:eu-west-1:{account}:certificate/1",
            "HostName": "ENVIRONMENT.play.example.com",
            "AgentImage": f"{SHARED}.dkr.ecr.eu-west-1.amazonaws.com/headgate/agent@{digest}",
        }
        shared("secretsmanager").put_secret_value(SecretId=f"headgate/{stage}", SecretString=json.dumps({"gateway": gateway}))


def deploy_all():
    documents, stacks = json.load(sys.stdin), {}
    shared = deploy(SHARED, "shared", documents["shared"], {"DevAccount": DEV, "ProdAccount": PROD, **SOURCE})
    stacks[SHARED] = {"shared": shared}
    for account, branches in ((DEV, "true"), (PROD, "false")):
        given = {"SharedAccount": SHARED, "PipelineKeyArn": shared["outputs"]["KeyArn"], "BranchEnvironments": branches}
        stacks[account] = {"target": deploy(account, "target", documents["target"], given)}
    stacks[SHARED]["branches"] = deploy(SHARED, "branches", documents["branches"], {"DevAccount": DEV, **SOURCE})
    for account, kind in ((SHARED, "shared"), (DEV, "dev"), (PROD, "prod")):
        given = {"Kind": kind, "UsersAccount": SHARED}
        if account == SHARED:
            given |= {"SignIn": "true", "AuditorUser": "avery"}
        stacks[account]["people"] = deploy(account, "people", documents["people"], given)
    print(json.dumps({"stacks": stacks, "made": {account: made(account) for account in stacks}}))
    settings()


def left(environment):
    of = session(DEV).client
    database = f"headgate-{environment}".replace("-", "_")
    pages = of("cloudformation").get_paginator("describe_stacks").paginate()
    there = {
        "stacks": [each["StackName"] for page in pages for each in page["Stacks"]],
        "buckets": [each["Name"] for each in of("s3").list_buckets()["Buckets"]],
        "tables": of("dynamodb").list_tables()["TableNames"],
        "streams": of("kinesis").list_streams()["StreamNames"],
        "databases": [each["Name"] for each in of("glue").get_databases()["DatabaseList"]],
        "workgroups": [each["Name"] for each in of("athena").list_work_groups()["WorkGroups"]],
        "logs": [each["logGroupName"] for each in of("logs").describe_log_groups()["logGroups"]],
        "secrets": [each["Name"] for each in of("secretsmanager").list_secrets()["SecretList"]],
        "queues": of("sqs").list_queues().get("QueueUrls", []),
        "aliases": [each["AliasName"] for each in of("kms").list_aliases()["Aliases"]],
        "parameters": [each["Name"] for page in of("ssm").get_paginator("describe_parameters").paginate() for each in page["Parameters"]],
        "functions": [each["FunctionName"] for each in of("lambda").list_functions()["Functions"]],
    }
    marks = (f"headgate-{environment}", f"/headgate/{environment}/", database)
    print(json.dumps({kind: its for kind, names in there.items() if (its := sorted(each for each in names if any(mark in each for mark in marks)))}))


def token(environment):
    of = session(DEV).client
    name = of("ssm").get_parameter(Name=f"/headgate/{environment}/gateway/admin-token-secret")["Parameter"]["Value"]
    print(of("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(required=True)
    ways.add_parser("deploy").set_defaults(go=lambda _: deploy_all())
    for name, of_environment in (("left", left), ("token", token)):
        way = ways.add_parser(name)
        way.add_argument("environment")
        way.set_defaults(go=lambda asked, of_environment=of_environment: of_environment(asked.environment))
    asked = parser.parse_args()
    asked.go(asked)


if __name__ == "__main__":
    main()
