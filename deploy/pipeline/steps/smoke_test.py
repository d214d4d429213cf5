"""Runs the smoke test against a stage: `smoke-test STAGE [--package FOLDER] [--report FOLDER] [--host URL]`.

Finds out where the environment is, takes its administrators' token, and has `headgate-loadtest smoke` of the package make
an application and a key, send events, and wait for them in the lake and in the metrics. Its report is JUnit XML, as
CodeBuild reads it. The status is the load tester's.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from steps import aws, manifest
from steps.names import Failure, role_of
from steps.promote import parser_of


def told(session, environment, name):
    """What a stack has written for whoever comes."""
    return session.client("ssm").get_parameter(Name=f"/headgate/{environment}/{name}")["Parameter"]["Value"]


def main(arguments):
    parser = parser_of("smoke-test", __doc__)
    parser.add_argument("--report", type=pathlib.Path, default=pathlib.Path("smoke-test"))
    parser.add_argument("--host", default=os.environ.get("SMOKE_TEST_HOST"), help="another URL than the stage's (default: SMOKE_TEST_HOST, or https://HOST:443)")
    asked = parser.parse_args(arguments)
    packaged, stage = manifest.load(asked.package), asked.stage
    target = packaged["stages"][stage]
    if not target["host"] and not asked.host:
        raise Failure(f"{stage} has no HostName: put it into the secret of the stage, under \"gateway\"")
    session = aws.assume(target["account"], role_of(stage, "smoke-test"))
    environment = target["environment"]
    secret = told(session, environment, "gateway/admin-token-secret")
    token = session.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    lake = told(session, environment, "data/lake-bucket")
    asked.report.mkdir(parents=True, exist_ok=True)
    # CodePipeline's zips do not keep who may execute what.
    program = asked.package / "bin" / "headgate-loadtest"
    program.chmod(0o755)
    given = session.get_credentials().get_frozen_credentials()
    variables = {"AWS_ACCESS_KEY_ID": given.access_key, "AWS_SECRET_ACCESS_KEY": given.secret_key, "AWS_REGION": aws.region()}
    if given.token:
        variables["AWS_SESSION_TOKEN"] = given.token
    with tempfile.TemporaryDirectory() as private:
        file = pathlib.Path(private) / "token"
        file.touch(mode=0o600)
        file.write_text(token)
        command = [
            program.resolve(), "smoke",
            "--host", asked.host or f"https://{target['host']}:443",
            "--admin-token-file", file,
            "--expect-version", packaged["version"],
            "--expect-commit", packaged["commit"],
            "--lake", f"s3://{lake}/raw_events/",
            "--report", asked.report / "smoke-test.xml",
        ]
        # The metrics are counted from the stream.
        if told(session, environment, "gateway/destination").startswith("kinesis"):
            command += ["--metrics-namespace", f"headgate-{environment}/AWSGameAnalytics"]
        print(" ".join(map(str, command)), flush=True)
        sys.exit(subprocess.run([str(part) for part in command], env=dict(os.environ, **variables)).returncode)
