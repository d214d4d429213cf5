"""Names that templates, steps and checks have to agree on. Nothing here needs a package."""

import hashlib
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent.parent
WORKSPACE = HERE.parent.parent
TEMPLATES = WORKSPACE / "deploy" / "cloudformation"

# In the order in which a stage deploys them.
STACKS = ["network", "data", "streaming", "gateway", "ops", "queries"]
# An environment of a branch stands in the network of dev: accounts have few VPCs.
WITHOUT_NETWORK = STACKS[1:]
STAGES = {"dev": STACKS, "prod": STACKS, "branch": WITHOUT_NETWORK}
NETWORK_OF_BRANCHES = "dev"
# Not deleted by mistake. A branch's may be.
PROTECTED = ["data"]
# An environment of a branch begins so; sweep touches no other.
BRANCH_PREFIX = "b-"
BRANCH_TAG = "headgate:branch"

IMAGES = {"headgate": "headgate/gateway", "headgate-loadtest": "headgate/loadtest"}
# Apart, for whoever may push a branch could do with these what they like.
IMAGES_OF_BRANCHES = {"headgate": "headgate-branches/gateway", "headgate-loadtest": "headgate-branches/loadtest"}
AGENT = "headgate/agent"
FUNCTIONS = {"transform": "headgate-transform", "metrics": "headgate-metrics"}
GLUE = {"deduplicate": "glue/deduplicate.py"}


class Failure(Exception):
    """Something that a step can't go on without; what to do is in the message."""


def settings_secret(stage):
    return f"headgate/{stage}"


def pipeline_bucket(account, region):
    return f"headgate-pipeline-{account}-{region}"


def artifact_bucket(account, region):
    return f"headgate-artifacts-{account}-{region}"


def boundary(account, partition):
    return f"arn:{partition}:iam::{account}:policy/headgate-boundary"


def stack_name(environment, stack):
    return f"headgate-{environment}-{stack}"


def newest(environment):
    """Where the shared bucket says which execution packaged a branch last."""
    return f"headgate-branches/newest/{environment}"


def held(stage):
    """Where the shared bucket says what a stage holds."""
    return f"stages/{stage}/manifest.json"


def tag_of(branch):
    """What a stack's tag can say of a branch, for people."""
    return re.sub(r"[^A-Za-z0-9 .:/=+@_-]", "_", branch)[:256]


def environment_of(branch):
    """A branch's environment: told apart from others by a hash, and told by people by what it begins with."""
    short = re.sub(r"[^a-z0-9]+", "-", branch.lower().rsplit("/", 1)[-1]).strip("-")[:11].strip("-") or "x"
    return f"{BRANCH_PREFIX}{short}-{hashlib.sha256(branch.encode()).hexdigest()[:6]}"


def role_of(stage, step):
    """The role of the target account that a step of a stage takes."""
    return "headgate-branch" if stage == "branch" else f"headgate-{step}"
