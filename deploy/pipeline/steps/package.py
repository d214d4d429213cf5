"""Builds once what every stage deploys: `package [--stages "dev prod"] [--branch NAME] [--binaries FOLDER] [--out FOLDER]`.

Images go to ECR of the shared-services account, and are known by digest from then on. The folder gets the functions' zips
and the Glue script under names that say their content, the templates and each stage's template configurations, the tools
of the later steps, a manifest of all of it, an SBOM and SHA256SUMS. The same content gives the same names, and the same
manifest.
"""

import argparse
import base64
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile
import zipfile

import botocore.exceptions

from steps import aws, bill, manifest, settings
from steps.names import (
    AGENT, FUNCTIONS, GLUE, HERE, IMAGES, IMAGES_OF_BRANCHES, STAGES, TEMPLATES, WORKSPACE, Failure, artifact_bucket,
    environment_of, newest, pipeline_bucket,
)

ARCHITECTURES = {"aarch64": ("ARM64", "arm64"), "x86_64": ("X86_64", "x86_64")}


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def version():
    return re.search(r'^version = "(.+)"$', (WORKSPACE / "Cargo.toml").read_text(), re.M).group(1)


def commit():
    """As it was checked out; a change that is in no commit says so."""
    said = subprocess.run(["git", "-C", str(WORKSPACE), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"], capture_output=True, text=True)
    return said.stdout.strip() or os.environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION") or "unknown"


def built():
    """The folder of the static binaries, built for this machine."""
    host = re.search(r"^host: (.+)$", run("rustc", "-vV", capture_output=True).stdout, re.M).group(1)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or WORKSPACE / "target")
    flags = f"{os.environ.get('RUSTFLAGS', '')} -C target-feature=+crt-static".strip()
    binaries = [option for name in [*IMAGES, *FUNCTIONS.values()] for option in ("--bin", name)]
    command = ["cargo", "build", "--locked", "--release", "--workspace", "--target", host, "--target-dir", target, *binaries]
    # The flags are for the target, which is named even though it is the host's: procedural macros can't be static.
    run(*command, cwd=WORKSPACE, env=dict(os.environ, RUSTFLAGS=flags, HEADGATE_COMMIT=commit()))
    return target / host / "release"


def image(program, binary, folder):
    """Builds an image as an OCI layout, and says its digest."""
    run(WORKSPACE / "deploy" / "container" / "build", "--program", program, "--binary", binary, "--out", folder)
    return json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]


class Registry:
    """ECR of the shared-services account, or what stands for it."""

    def __init__(self, number):
        self.ecr, self.number = aws.here().client("ecr"), number
        suffix = "amazonaws.com.cn" if aws.partition() == "aws-cn" else "amazonaws.com"
        self.host = f"{number}.dkr.ecr.{aws.region()}.{suffix}"
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
        # An emulator takes images where it takes everything else, and without TLS.
        self.pushed_to, self.insecure = (endpoint.removeprefix("http://"), True) if endpoint.startswith("http://") else (self.host, False)

    def has(self, repository, digest):
        answer = self.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
        return bool(answer["images"])

    def push(self, folder, repository, tag):
        token = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        with tempfile.TemporaryDirectory() as private:
            credentials = pathlib.Path(private) / "auth.json"
            credentials.write_text(json.dumps({"auths": {self.pushed_to: {"auth": token}}}))
            assert base64.b64decode(token)
            command = ["skopeo", "copy", "--quiet", "--preserve-digests", "--dest-authfile", credentials]
            command += ["--dest-tls-verify=false"] if self.insecure else []
            layout = json.loads((folder / "index.json").read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
            run(*command, f"oci:{folder}:{layout}", f"docker://{self.pushed_to}/{repository}:{tag}")

    def name(self, repository, digest):
        return f"{self.host}/{repository}@{digest}"


def zipped(binary, path):
    """A function's zip, which is the same for the same binary."""
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder) / "bootstrap"
        shutil.copy(binary, stripped)
        run("strip", "--strip-debug", stripped)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, stripped.read_bytes())


def named_by_content(path, folder, stem, suffix):
    """Moves a file to where its checksum says, and gives its place in the package and the checksum."""
    digest = manifest.sha256(path)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{stem}-{digest}{suffix}"
    shutil.move(path, folder / name)
    return {"key": f"{folder.name}/{name}", "sha256": digest}


def made_parameters(prefix, number, made, repositories, processor, shared, agent):
    """What the package knows of each stack, and nobody else."""
    registry = Registry(shared)
    return {
        "streaming": {
            "ArtifactBucket": artifact_bucket(number, aws.region()),
            "TransformCode": prefix + made["functions"]["transform"]["key"],
            "MetricsCode": prefix + made["functions"]["metrics"]["key"],
            "DeduplicateScript": prefix + made["glue"]["deduplicate"]["key"],
            "FunctionArchitecture": processor[1],
        },
        "gateway": {
            "GatewayImage": registry.name(repositories["headgate"], made["images"][repositories["headgate"]]),
            **({"AgentImage": registry.name(AGENT, agent)} if agent else {}),
            "ImageAccount": shared,
            "CpuArchitecture": processor[0],
        },
    }


def agent_of(stage, environment):
    """The agent's digest, which a stage's settings name: it is AWS's image, copied once (deploy/README.md)."""
    named = settings.merged(stage, environment).get("gateway", {}).get("AgentImage", "")
    return named.rsplit("@", 1)[-1] if "@sha256:" in named else ""


def main(arguments):
    parser = argparse.ArgumentParser(prog="package", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", default=os.environ.get("STAGES", "dev prod"), help="whose configurations it holds (default: STAGES, or both)")
    parser.add_argument("--branch", default=os.environ.get("BRANCH", ""), help="whose environment `branch` is (default: BRANCH)")
    there = os.environ.get("BINARIES")
    parser.add_argument("--binaries", type=pathlib.Path, default=pathlib.Path(there) if there else None, help="static binaries that are there already, in place of a build (default: BINARIES)")
    parser.add_argument("--out", type=pathlib.Path, default=WORKSPACE / "target" / "package")
    asked = parser.parse_args(arguments)
    stages = asked.stages.split()
    if not stages or set(stages) - set(STAGES):
        parser.error(f"--stages: there are {', '.join(STAGES)}")
    if ("branch" in stages) != bool(asked.branch):
        parser.error("the stage branch needs --branch, and no other stage has one")
    if platform.machine() not in ARCHITECTURES:
        raise Failure(f"nothing runs on {platform.machine()} in AWS")
    shared, processor = aws.account("shared"), ARCHITECTURES[platform.machine()]
    # Before minutes are spent on a build that could not be deployed.
    environments = {stage: environment_of(asked.branch) if stage == "branch" else stage for stage in stages}
    agents = {stage: agent_of(stage, environments[stage]) for stage in stages}

    out = asked.out
    shutil.rmtree(out, ignore_errors=True)
    (out / "bin").mkdir(parents=True)
    binaries, repositories = asked.binaries or built(), IMAGES_OF_BRANCHES if asked.branch else IMAGES
    made = {"version": version(), "commit": commit(), "architecture": processor[0], "images": {}, "functions": {}, "glue": {}, "stages": {}}
    registry = Registry(shared)
    with tempfile.TemporaryDirectory() as work:
        for program, repository in repositories.items():
            layout = pathlib.Path(work) / program
            digest = image(program, binaries / program, layout)
            made["images"][repository] = digest
            if not registry.has(repository, digest):
                owner = f"branch-{environments['branch']}" if asked.branch else made["version"]
                registry.push(layout, repository, f"{owner}-{made['commit'][:12]}-{digest.removeprefix('sha256:')[:12]}")
            if not registry.has(repository, digest):
                raise Failure(f"{repository} does not have {digest}, which was pushed there")
        for name, binary in FUNCTIONS.items():
            path = pathlib.Path(work) / f"{name}.zip"
            zipped(binaries / binary, path)
            made["functions"][name] = named_by_content(path, out / "functions", name, ".zip")
        for name, source in GLUE.items():
            path = pathlib.Path(work) / f"{name}.py"
            shutil.copy(TEMPLATES / source, path)
            made["glue"][name] = named_by_content(path, out / "glue", name, ".py")

    (out / "templates").mkdir()
    for stack in sorted({stack for stage in stages for stack in STAGES[stage]}):
        shutil.copy(TEMPLATES / f"{stack}.yaml", out / "templates")
    for stage in stages:
        number, environment = aws.account_of(stage), environments[stage]
        if agents[stage] and not registry.has(AGENT, agents[stage]):
            raise Failure(f"{stage}: {AGENT} does not have {agents[stage]}: copy the agent's image (docs/releasing.md, set up)")
        prefix = f"branches/{environment}/" if stage == "branch" else ""
        given = made_parameters(prefix, number, made, repositories, processor, shared, agents[stage])
        found = settings.configurations(stage, environment, number, asked.branch if stage == "branch" else "", given)
        for stack, configuration in found.items():
            path = out / "configuration" / stage / f"{stack}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(configuration, indent=2) + "\n")
        host = found["gateway"]["Parameters"].get("HostName", "")
        made["stages"][stage] = {
            "environment": environment, "account": number, "host": host, "prefix": prefix, "agent": agents[stage], "stacks": STAGES[stage],
        }
    # With which the later steps run, as they were when this was built.
    shutil.copytree(HERE, out / "deploy" / "pipeline", ignore=shutil.ignore_patterns("__pycache__", "*.yaml"))
    shutil.copy(binaries / "headgate-loadtest", out / "bin")
    (out / "sbom.json").write_text(json.dumps(bill.of_materials(made["version"], made["commit"]), indent=2, sort_keys=True) + "\n")
    manifest.write(out, made)

    if asked.branch and os.environ.get("EXECUTION"):
        bucket = pipeline_bucket(shared, aws.region())
        body = os.environ["EXECUTION"].encode()
        try:
            aws.here().client("s3").put_object(Bucket=bucket, Key=newest(environments["branch"]), Body=body)
        except botocore.exceptions.ClientError as error:
            raise Failure(f"{bucket} does not take which execution is the newest: {error}") from error
    if asked.branch:
        (out.parent / "environment").write_text(environments["branch"])
    print(json.dumps(made, indent=2, sort_keys=True))
