"""Sessions: of the account that a step runs in, and of roles in target accounts."""

import os

import boto3
import botocore.credentials
import botocore.exceptions
import botocore.session

from steps.names import Failure


def here():
    return boto3.Session()


def region():
    found = here().region_name
    if not found:
        raise Failure("no region: set AWS_REGION")
    return found


def partition():
    return here().get_partition_for_region(region())


def account(name):
    """An account's number, as the project's environment has it (SHARED_ACCOUNT, DEV_ACCOUNT, PROD_ACCOUNT)."""
    number = os.environ.get(f"{name.upper()}_ACCOUNT", "")
    if len(number) != 12 or not number.isdigit():
        raise Failure(f"{name.upper()}_ACCOUNT has to be the number of the account")
    return number


def account_of(stage):
    return account("dev" if stage == "branch" else stage)


def assume(number, role):
    """A session as a role of another account, for as long as it takes: a role that a role takes is given for an hour."""
    arn = f"arn:{partition()}:iam::{number}:role/{role}"
    name = os.environ.get("CODEBUILD_BUILD_ID", "headgate").replace(":", "-")[-64:]

    def take():
        given = here().client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        return {
            "access_key": given["AccessKeyId"], "secret_key": given["SecretAccessKey"], "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    try:
        first = take()
    except botocore.exceptions.ClientError as error:
        raise Failure(f"{arn} can't be taken: {error}") from error
    session = botocore.session.get_session()
    # There is no other way to hand a session credentials that are taken anew.
    session._credentials = botocore.credentials.RefreshableCredentials.create_from_metadata(first, refresh_using=take, method="sts-assume-role")
    return boto3.Session(botocore_session=session, region_name=region())


def code(error):
    return error.response["Error"]["Code"]


def describe_stack(cloudformation, name):
    """A stack, or None."""
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def read(s3, bucket, key):
    """An object's bytes, or None."""
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except botocore.exceptions.ClientError as error:
        if code(error) in ("NoSuchKey", "404"):
            return None
        raise
