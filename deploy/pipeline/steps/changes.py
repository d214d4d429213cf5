"""Says what a package would change in a stage: `changes STAGE [--package FOLDER] [--into FOLDER]`.

From the manifest of what the stage holds (version, images, functions), and from change sets of its stacks, which are made,
read and deleted. Writes `summary`, one line for whoever approves, and `report` with all of it.
"""

import hashlib
import json
import pathlib
import time

import botocore.exceptions

from steps import aws, manifest
from steps.names import Failure, artifact_bucket, held, pipeline_bucket, role_of, stack_name
from steps.promote import parser_of

CHANGE_SET = "preview"
# What a notice of an approval may have.
SUMMARY_CHARACTERS = 900


def artifacts(packaged):
    if not packaged:
        return {}
    functions = {f"function {name}": each["sha256"] for name, each in packaged["functions"].items()}
    return {**packaged["images"], **functions, **{f"script {name}": each["sha256"] for name, each in packaged["glue"].items()}}


def of_artifacts(before, after):
    had, has = artifacts(before), artifacts(after)
    return [name for name in has if had.get(name) != has[name]]


def preview(session, packaged, stage, stack, folder):
    """The changes of one stack, as lines; None for a stack that is not there yet."""
    cloudformation, target = session.client("cloudformation"), packaged["stages"][stage]
    name = stack_name(target["environment"], stack)
    there = aws.describe_stack(cloudformation, name)
    if not there or there["StackStatus"] == "REVIEW_IN_PROGRESS":
        return None
    text = (folder / "templates" / f"{stack}.yaml").read_bytes()
    bucket, key = artifact_bucket(target["account"], aws.region()), f"previews/{hashlib.sha256(text).hexdigest()}.yaml"
    s3 = session.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=text)
    given = manifest.configuration(folder, stage, stack)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}).split("?")[0]
    # That of a build that was stopped; none is fine.
    cloudformation.delete_change_set(StackName=name, ChangeSetName=CHANGE_SET)
    cloudformation.create_change_set(
        StackName=name, ChangeSetName=CHANGE_SET, ChangeSetType="UPDATE", TemplateURL=url, Capabilities=["CAPABILITY_IAM"],
        RoleARN=f"arn:{aws.partition()}:iam::{target['account']}:role/headgate-cloudformation",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given["Parameters"].items()],
        Tags=[{"Key": key, "Value": value} for key, value in given["Tags"].items()],
    )
    try:
        return described(cloudformation, name)
    finally:
        cloudformation.delete_change_set(StackName=name, ChangeSetName=CHANGE_SET)


def described(cloudformation, name):
    end = time.monotonic() + 600
    while True:
        found = cloudformation.describe_change_set(StackName=name, ChangeSetName=CHANGE_SET)
        if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            break
        if time.monotonic() > end:
            raise Failure(f"the change set of {name} did not come about in ten minutes")
        time.sleep(2)
    if found["Status"] == "FAILED":
        reason = found.get("StatusReason", "")
        if "didn't contain changes" in reason or "No updates" in reason:
            return []
        raise Failure(f"the change set of {name} failed: {reason}")
    changes = list(found["Changes"])
    while token := found.get("NextToken"):
        found = cloudformation.describe_change_set(StackName=name, ChangeSetName=CHANGE_SET, NextToken=token)
        changes += found["Changes"]
    lines = []
    for change in (each["ResourceChange"] for each in changes):
        replaced = {"True": ", REPLACED", "Conditional": ", perhaps replaced"}.get(change.get("Replacement"), "")
        lines.append(f"{change['Action']} {change['LogicalResourceId']} ({change['ResourceType']}){replaced}")
    return lines


def main(arguments):
    parser = parser_of("changes", __doc__)
    parser.add_argument("--into", type=pathlib.Path, default=pathlib.Path("changes"))
    asked = parser.parse_args(arguments)
    packaged, stage = manifest.load(asked.package), asked.stage
    held_now = aws.read(aws.here().client("s3"), pipeline_bucket(aws.account("shared"), aws.region()), held(stage))
    before = json.loads(held_now) if held_now else None
    if before and before["commit"] == packaged["commit"]:
        head = f"{stage}: {packaged['version']} again, commit {packaged['commit'][:12]}"
    else:
        now = f"{before['version']} ({before['commit'][:12]})" if before else "nothing"
        head = f"{stage}: {now} -> {packaged['version']} ({packaged['commit'][:12]})"
    other = of_artifacts(before, packaged)
    report, short = [head, f"artifacts that differ: {', '.join(other) or 'none'}"], []
    session = aws.assume(packaged["stages"][stage]["account"], role_of(stage, "promote"))
    for stack in packaged["stages"][stage]["stacks"]:
        try:
            lines = preview(session, packaged, stage, stack, asked.package)
        except botocore.exceptions.ClientError as error:
            # A parameter, say, that a stack before it will write first. The deployment itself goes in order.
            if aws.code(error) != "ValidationError":
                raise
            report.append(f"{stack}: not known now: {error}")
            short.append(f"{stack} unknown")
            continue
        if lines is None:
            lines = ["new"]
        report += [f"{stack}: {len(lines) if lines else 'no'} change(s)", *(f"    {line}" for line in lines)]
        if lines:
            replaced = sum("REPLACED" in line for line in lines)
            short.append(f"{stack} {'new' if lines == ['new'] else len(lines)}{f' ({replaced} replaced)' if replaced else ''}")
    summary = f"{head}; artifacts: {', '.join(other) or 'the same'}; stacks: {', '.join(short) or 'the same'}"
    asked.into.mkdir(parents=True, exist_ok=True)
    (asked.into / "summary").write_text(summary[:SUMMARY_CHARACTERS])
    (asked.into / "report").write_text("\n".join(report) + "\n")
    print("\n".join(report))
