"""Notes what a stage holds, once its smoke test has passed: `settle STAGE [--package FOLDER]`. The data stack is protected
from deletion with it."""

import datetime
import json

from steps import aws, manifest
from steps.names import PROTECTED, Failure, held, pipeline_bucket, role_of, stack_name
from steps.promote import parser_of


def main(arguments):
    asked = parser_of("settle", __doc__).parse_args(arguments)
    packaged, stage = manifest.load(asked.package), asked.stage
    if stage == "branch":
        raise Failure("an environment of a branch is not kept, and nothing is noted of it")
    target = packaged["stages"][stage]
    cloudformation = aws.assume(target["account"], role_of(stage, "promote")).client("cloudformation")
    for stack in PROTECTED:
        cloudformation.update_termination_protection(StackName=stack_name(target["environment"], stack), EnableTerminationProtection=True)
    s3, bucket = aws.here().client("s3"), pipeline_bucket(aws.account("shared"), aws.region())
    text = json.dumps(packaged, indent=2, sort_keys=True).encode()
    now = datetime.datetime.now(datetime.timezone.utc)
    for key in (held(stage), f"stages/{stage}/history/{now:%Y%m%dT%H%M%SZ}-{packaged['commit'][:12]}.json"):
        s3.put_object(Bucket=bucket, Key=key, Body=text)
    print(f"{stage} holds {packaged['version']}, commit {packaged['commit']}")
