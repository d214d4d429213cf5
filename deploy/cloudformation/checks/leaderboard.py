"""The sample: its template, its functions, its script and its query are four texts about the same things."""

import re
import runpy

from checks.template import WORKSPACE

FOLDER = WORKSPACE / "deploy" / "samples" / "leaderboard"
# What `standings.sql` has to hold to as the functions do.
BOUNDS = {"MOST": "<= {}", "LONGEST_ID": "BETWEEN 1 AND {}", "LONGEST_NAME": "substr(player_name, 1, {})"}


def problems(stacks):
    stack, found = stacks["leaderboard"], []
    functions = {path.stem: path.read_text() for path in sorted((FOLDER / "functions").glob("*.py"))}
    found += variables(stack, functions)
    found += handlers(stack, functions)
    found += index(stack, functions)
    found += query(stack, functions)
    told = {name: parameter["Default"].removeprefix("/headgate/prod/")
            for name, parameter in stack.parameters.items() if "AWS::SSM::Parameter::Value" in parameter["Type"]}
    if told != runpy.run_path(str(FOLDER / "deploy"))["TOLD"]:
        found.append(f"the script deploy does not tell the stack {told}")
    kept = stacks["data"].parameters["StreamRetentionHours"]["Default"]
    if stack.parameters["RememberHours"]["Default"] <= kept:
        found.append(f"the stream keeps records for {kept} h, and rows forget before that what is in them")
    return found, f"{len(functions)} modules"


def variables(stack, functions):
    """Each variable is one that a function reads, has what it reads without one as its default, and none is missing."""
    read = dict(pair for text in functions.values() for pair in re.findall(r'os\.environ\.get\("(\w+)", "([^"]*)"\)', text))
    set_by = {name: stack.worked_out(each["Properties"]["Environment"]["Variables"])
              for name, each in stack.resources("AWS::Lambda::Function").items()}
    for name, values in set_by.items():
        yield from (f"{name} is given {each}, which no function reads" for each in values.keys() - read.keys())
        for variable, value in values.items():
            if variable in read and variable != "TABLE" and value != read[variable]:
                yield f"{name} is given {variable}={value}, and without it the function takes {read[variable]}"
        if "PARTITIONS" not in values or "TABLE" not in values:
            yield f"{name} is not told of the table and its partitions, which writer and reader have to agree on"
    yield from (f"the functions read {each}, which none is given" for each in read.keys() - set().union(*set_by.values()))


def handlers(stack, functions):
    for name, resource in stack.resources("AWS::Lambda::Function").items():
        module, function = resource["Properties"]["Handler"].split(".")
        if not re.search(rf"^def {function}\(", functions.get(module, ""), re.M):
            yield f"{name} is to call {module}.{function}, which is not there"


def index(stack, functions):
    """What is read from the index is projected into it, and what it is made of is written."""
    (table,) = stack.resources("AWS::DynamoDB::Table").values()
    (ranks,) = table["Properties"]["GlobalSecondaryIndexes"]
    if ranks["IndexName"] != re.search(r'^INDEX = "(\w+)"$', functions["standings"], re.M).group(1):
        yield f"the functions ask another index than {ranks['IndexName']}"
    shown = functions["serve"].split("def shown(")[1].split("\ndef ")[0]
    there = set(ranks["Projection"]["NonKeyAttributes"])
    yield from (f"the index does not have {each}, which is shown" for each in sorted(set(re.findall(r'"(\w+)"', shown)) - there))
    keys = {each["AttributeName"] for each in table["Properties"]["AttributeDefinitions"]}
    keys.add(table["Properties"]["TimeToLiveSpecification"]["AttributeName"])
    written = set(re.findall(r'^ +"(\w+)": ', functions["standings"], re.M))
    yield from (f"the table goes by {each}, which no row has" for each in sorted(keys - written))


def query(stack, functions):
    text = (FOLDER / "standings.sql").read_text()
    event_type, member = (stack.parameters[name]["Default"] for name in ("EventType", "Member"))
    wanted = [f"event_type = '{event_type}'", f"'$.{member}'"]
    for name, phrase in BOUNDS.items():
        value = re.search(rf"^{name} = ([\d_]+)$", functions["scores"], re.M).group(1).replace("_", "")
        wanted.append(phrase.format(value))
    wanted.append(re.search(r'^WHOLE = re\.compile\(r"([^"]+)"', functions["scores"], re.M).group(1))
    yield from (f"standings.sql does not say {each!r}, as the functions do" for each in wanted if each not in text)
