"""Brings a package to a stage's account: `promote STAGE [--package FOLDER]`.

Everything is held to its digest on the way: the images in ECR, the zips and scripts as packaged, and again as they lie in
the account's bucket. What is there already is not copied again. Images that a stage got have a tag that says so. For a
branch it first waits until it is its turn: only the newest execution deploys, and only once the stacks have settled.
"""

import argparse
import hashlib
import os
import pathlib
import time

import botocore.exceptions

from steps import aws, manifest
from steps.names import AGENT, STAGES, Failure, artifact_bucket, newest, pipeline_bucket, role_of, stack_name

# A first deployment of all stacks takes half an hour at most.
TURN_SECONDS = 5400
POLL_SECONDS = 20


def parser_of(prog, doc):
    parser = argparse.ArgumentParser(prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--package", type=pathlib.Path, default=pathlib.Path(), help="the folder that package has made (default: this one)")
    return parser


def images(packaged, stage):
    """The images of a stage, as (repository, digest)."""
    agent = packaged["stages"][stage]["agent"]
    return [*packaged["images"].items(), *([(AGENT, agent)] if agent else [])]


def check_images(packaged, stage):
    """The manifest of each image, once what ECR has under the digest is what the digest says."""
    ecr, found = aws.here().client("ecr"), {}
    for repository, digest in images(packaged, stage):
        answer = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])["images"]
        if not answer:
            raise Failure(f"{repository} does not have {digest}")
        text = answer[0]["imageManifest"]
        if f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" != digest:
            raise Failure(f"what {repository} has under {digest} is something else")
        found[repository, digest] = (text, answer[0].get("imageManifestMediaType"))
    return found


def tag(found, packaged, stage):
    ecr = aws.here().client("ecr")
    for (repository, digest), (text, kind) in found.items():
        name = f"{stage}-{packaged['version']}-{packaged['commit'][:12]}-{digest.removeprefix('sha256:')[:12]}"
        options = {"imageManifestMediaType": kind} if kind else {}
        try:
            ecr.put_image(repositoryName=repository, imageManifest=text, imageDigest=digest, imageTag=name, **options)
        except botocore.exceptions.ClientError as error:
            # It has it already: this package was here before.
            if aws.code(error) not in ("ImageAlreadyExistsException", "ImageTagAlreadyExistsException"):
                raise


def bring(session, packaged, stage, folder):
    """Copies what the account's bucket does not have, and reads all of it back."""
    s3, target = session.client("s3"), packaged["stages"][stage]
    bucket = artifact_bucket(target["account"], aws.region())
    for artifact in [*packaged["functions"].values(), *packaged["glue"].values()]:
        key = target["prefix"] + artifact["key"]
        there = aws.read(s3, bucket, key)
        if there is None:
            s3.put_object(Bucket=bucket, Key=key, Body=(folder / artifact["key"]).read_bytes())
            there = aws.read(s3, bucket, key)
        if hashlib.sha256(there).hexdigest() != artifact["sha256"]:
            raise Failure(f"s3://{bucket}/{key} is not what was packaged")
        print(f"{stage}: {key}")


def turn(session, environment, execution):
    """Waits until no other execution changes the environment's stacks."""
    s3, cloudformation = aws.here().client("s3"), session.client("cloudformation")
    bucket, end = pipeline_bucket(aws.account("shared"), aws.region()), time.monotonic() + TURN_SECONDS
    while True:
        last = (aws.read(s3, bucket, newest(environment)) or b"").decode()
        if last != execution:
            raise Failure(f"a newer revision of the branch is on its way (execution {last}); this one is not deployed")
        stacks = [aws.describe_stack(cloudformation, stack_name(environment, stack)) for stack in STAGES["branch"]]
        busy = [stack["StackName"] for stack in stacks if stack and stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != "REVIEW_IN_PROGRESS"]
        if not busy:
            return
        if time.monotonic() > end:
            raise Failure(f"{', '.join(busy)} did not settle in {TURN_SECONDS // 60} minutes")
        print(f"waits for {', '.join(busy)}", flush=True)
        time.sleep(POLL_SECONDS)


def main(arguments):
    asked = parser_of("promote", __doc__).parse_args(arguments)
    packaged, stage = manifest.load(asked.package), asked.stage
    if stage not in packaged["stages"]:
        raise Failure(f"the package is for {', '.join(packaged['stages'])}, not for {stage}")
    target = packaged["stages"][stage]
    session = aws.assume(target["account"], role_of(stage, "promote"))
    if stage == "branch" and os.environ.get("EXECUTION"):
        turn(session, target["environment"], os.environ["EXECUTION"])
    found = check_images(packaged, stage)
    bring(session, packaged, stage, asked.package)
    if stage != "branch":
        tag(found, packaged, stage)
    for repository, digest in found:
        print(f"{stage}: {repository}@{digest}")
    print(f"{stage}: {packaged['version']}, commit {packaged['commit']}")
