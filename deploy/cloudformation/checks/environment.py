"""The gateway's environment as its container gets it, for each destination: a test starts `headgate check-config` with it."""

import json

from checks.template import shipped

TOKEN = "a-sample-of-a-secret-of-48-characters-xxxxxxxxxx"


def container(stack, name="gateway"):
    (task,) = stack.resources("AWS::ECS::TaskDefinition").values()
    return next(each for each in task["Properties"]["ContainerDefinitions"] if each["Name"] == name)


def environment(stack, destination):
    definition = stack.worked_out(container(stack), {"Destination": destination})
    variables = {each["Name"]: each["Value"] for each in definition["Environment"]}
    variables.update({each["Name"]: TOKEN for each in definition["Secrets"]})
    return variables


def show():
    stack = shipped()["gateway"]
    destinations = stack.parameters["Destination"]["AllowedValues"]
    print(json.dumps([environment(stack, destination) for destination in destinations]))
