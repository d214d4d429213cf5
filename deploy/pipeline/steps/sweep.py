"""Takes environments of branches away whole: `sweep [--remote REPOSITORY] [--idle-days DAYS] [--environment NAME] [--dry-run]`.

An environment goes when its branch is gone, or when it got no deployment for so long. Its stacks are deleted from the last
one to the first; what they retain (tables, stream, lake, keys, logs, secrets) goes with them, buckets are emptied first.
A sweep that was stopped goes on where it was.
Environments that are not a branch's (without the tag headgate:branch, or not named b-...) are never looked at.
"""

import argparse
import datetime
import os
import subprocess
import time

import botocore.exceptions

from steps import aws
from steps.names import BRANCH_PREFIX, BRANCH_TAG, STAGES, Failure, environment_of, stack_name

STACK_SECONDS = 3600
POLL_SECONDS = 5
# As CodeBuild leaves them, a clone has a remote of this name.
REMOTE = "origin"
# No environment is called so: they begin with b-.
EACH = "each"


# --- what stacks retain, by type --------------------------------------------------------------------------------------
# The order is that of deletion: an alias after its key, which is found by its tags; a table of Glue with its database.
def bucket(session, name):
    s3 = session.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
        if objects:
            answer = s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
            if answer.get("Errors"):
                raise Failure(f"{name}: {answer['Errors'][0]}")
    s3.delete_bucket(Bucket=name)


def table(session, name):
    dynamodb = session.client("dynamodb")
    if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        wait(lambda: dynamodb.describe_table(TableName=name)["Table"]["TableStatus"] == "ACTIVE", f"the table {name}", 300)
    dynamodb.delete_table(TableName=name)


def key(session, name):
    session.client("kms").schedule_key_deletion(KeyId=name, PendingWindowInDays=7)


RETAINED = {
    "AWS::S3::Bucket": bucket,
    "AWS::DynamoDB::Table": table,
    "AWS::Kinesis::Stream": lambda session, name: session.client("kinesis").delete_stream(StreamName=name, EnforceConsumerDeletion=True),
    "AWS::Glue::Database": lambda session, name: session.client("glue").delete_database(Name=name),
    "AWS::Athena::WorkGroup": lambda session, name: session.client("athena").delete_work_group(WorkGroup=name, RecursiveDeleteOption=True),
    "AWS::Logs::LogGroup": lambda session, name: session.client("logs").delete_log_group(logGroupName=name),
    "AWS::SecretsManager::Secret": lambda session, name: session.client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True),
    "AWS::SQS::Queue": lambda session, name: session.client("sqs").delete_queue(QueueUrl=name),
    "AWS::KMS::Key": key,
    "AWS::KMS::Alias": lambda session, name: session.client("kms").delete_alias(AliasName=name),
}
# Gone with what they are a part of.
WITH_OTHERS = {"AWS::S3::BucketPolicy", "AWS::Glue::Table"}
ABSENT = {
    "NoSuchBucket", "ResourceNotFoundException", "EntityNotFoundException", "NotFoundException", "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist", "KMSInvalidStateException", "InvalidRequestException", "404",
}


def wait(done, what, seconds):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise Failure(f"{what} did not get ready in {seconds} s")
        time.sleep(POLL_SECONDS)


def branches_of(remote):
    said = subprocess.run(["git", "ls-remote", "--heads", remote], capture_output=True, text=True)
    if said.returncode != 0:
        raise Failure(f"git can't ask {remote} for its branches: {said.stderr.strip()}")
    found = {line.split("\t", 1)[1].removeprefix("refs/heads/") for line in said.stdout.splitlines()}
    if not found:
        raise Failure(f"{remote} says that it has no branch at all, which is not believed")
    return found


def environments(session):
    """Environments of branches: name to (branch, as its tag has it, and when a stack of it was last deployed)."""
    found = {}
    for page in session.client("cloudformation").get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            tags = {each["Key"]: each["Value"] for each in stack.get("Tags", [])}
            name = tags.get("headgate:environment", "")
            if BRANCH_TAG not in tags or not name.startswith(BRANCH_PREFIX) or not stack["StackName"].startswith(f"headgate-{name}-"):
                continue
            when = stack.get("LastUpdatedTime", stack["CreationTime"])
            branch, last = found.get(name, (tags[BRANCH_TAG], when))
            found[name] = (branch, max(last, when))
    return found


def resources(session, stack):
    pages = session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return [(each["ResourceType"], each["PhysicalResourceId"]) for page in pages for each in page["StackResourceSummaries"] if each.get("PhysicalResourceId")]


def delete_stack(session, name, there, had):
    cloudformation = session.client("cloudformation")
    if there.get("EnableTerminationProtection"):
        cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    for kind, arn in had:
        if kind == "AWS::ElasticLoadBalancingV2::LoadBalancer":
            attributes = [{"Key": "deletion_protection.enabled", "Value": "false"}]
            session.client("elbv2").modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
    cloudformation.delete_stack(StackName=there["StackId"])

    def gone():
        status = aws.describe_stack(cloudformation, there["StackId"])
        if status and status["StackStatus"] == "DELETE_FAILED":
            raise Failure(f"{name}: {status.get('StackStatusReason', 'DELETE_FAILED')}")
        return not status or status["StackStatus"] == "DELETE_COMPLETE"

    wait(gone, f"the deletion of {name}", STACK_SECONDS)


def delete_retained(session, environment, had):
    for kind, delete in RETAINED.items():
        for name in (each for other, each in had if other == kind):
            try:
                delete(session, name)
                print(f"{environment}: {kind} {name}", flush=True)
            except botocore.exceptions.ClientError as error:
                if aws.code(error) not in ABSENT:
                    raise


def take_away(session, environment):
    """From the last stack to the first. What a stack retains goes before it: whatever fails, the stack is still there to say
    what is left, and the next sweep goes on."""
    for stack in reversed(STAGES["branch"]):
        name = stack_name(environment, stack)
        there = aws.describe_stack(session.client("cloudformation"), name)
        if there:
            had = resources(session, name)
            delete_retained(session, environment, had)
            delete_stack(session, name, there, had)
            print(f"{environment}: {name} is deleted", flush=True)


def main(arguments):
    parser = argparse.ArgumentParser(prog="sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--remote", default=REMOTE, help="where the branches are (default: origin of this clone)")
    parser.add_argument("--idle-days", type=int, default=int(os.environ.get("IDLE_DAYS", "14")), help="(default: IDLE_DAYS, or 14)")
    parser.add_argument("--environment", default=os.environ.get("ENVIRONMENT", EACH), help="this one, whatever its branch (default: ENVIRONMENT, or each)")
    parser.add_argument("--dry-run", action="store_true", help="say what would go")
    asked = parser.parse_args(arguments)
    only = None if asked.environment == EACH else asked.environment
    session = aws.assume(aws.account("dev"), "headgate-branch")
    there = environments(session)
    if only and only not in there:
        raise Failure(f"{only} is no environment of a branch; there are {', '.join(sorted(there)) or 'none'}")
    wanted = set() if only else {environment_of(branch) for branch in branches_of(asked.remote)}
    idle = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=asked.idle_days)
    failed = []
    for environment, (branch, last) in sorted(there.items()):
        if only:
            why = "asked for" if environment == only else None
        elif environment not in wanted:
            why = f"the branch {branch} is gone"
        else:
            why = f"not deployed since {last:%Y-%m-%d}" if last < idle else None
        print(f"{environment}: {why or f'stays, for {branch}'}", flush=True)
        if not why or asked.dry_run:
            continue
        try:
            take_away(session, environment)
        except (Failure, botocore.exceptions.ClientError, botocore.exceptions.WaiterError) as problem:
            # One that can't go must not keep the others.
            print(f"{environment}: {problem}", flush=True)
            failed.append(environment)
    if failed:
        raise Failure(f"not gone whole: {', '.join(failed)}")
