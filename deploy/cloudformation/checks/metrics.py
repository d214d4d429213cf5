"""Joins what alarms and widgets ask CloudWatch for with what is emitted: by the gateway (docs/metrics.md, which a test holds
to its code, as far as the agent's settings hand it on), by metric filters over its log, by the functions and by AWS."""

import json
import re

import yaml

from checks import dashboard
from checks.environment import container
from checks.template import FOLDER, WORKSPACE


def asked(stacks):
    """(who, namespace, metric, names of dimensions) of every metric that an alarm or a widget asks for."""
    for name, stack in stacks.items():
        for logical_id, resource in stack.resources("AWS::CloudWatch::Alarm").items():
            alarm = stack.worked_out(resource["Properties"])
            where = f"{name}.yaml, {logical_id}"
            if "MetricName" in alarm:
                yield where, alarm["Namespace"], alarm["MetricName"], names(alarm)
            for query in alarm.get("Metrics", []):
                if "MetricStat" in query:
                    metric = query["MetricStat"]["Metric"]
                    yield where, metric["Namespace"], metric["MetricName"], names(metric)
                else:
                    yield from within(where, query["Expression"])
    for where, body in dashboard.bodies(stacks):
        for widget in body["widgets"]:
            for metric in widget["properties"].get("metrics", []):
                place = f"{where}, {widget['properties']['title']!r}"
                if isinstance(metric[0], dict):
                    yield from within(place, metric[0]["expression"])
                    continue
                parts = [part for part in metric if isinstance(part, str)]
                yield place, parts[0], parts[1], frozenset(parts[2::2])


def names(metric):
    return frozenset(each["Name"] for each in metric.get("Dimensions", []))


def within(where, expression):
    """The metrics that an expression searches for or selects. Arithmetic over other ids asks for none itself."""
    search = r"SEARCH\('\{([^}]+)\} MetricName=\"(\w+)\""
    select = r"SELECT \w+\((\w+)\) FROM SCHEMA\(\"([^\"]+)\",\s*([^)]+)\)"
    found = [(schema.split(","), metric) for schema, metric in re.findall(search, expression)]
    found += [([namespace, *re.split(r",\s*", labels)], metric) for metric, namespace, labels in re.findall(select, expression)]
    if not found and re.search(r"SEARCH|SELECT", expression):
        yield where, "", expression, frozenset()
    for (namespace, *labels), metric in found:
        yield where, namespace, metric, frozenset(labels)


def of_the_gateway():
    """Name to (kind, labels) of every metric of the reference."""
    page, kind, found = (WORKSPACE / "docs" / "metrics.md").read_text(), "", {}
    for line in page.splitlines():
        if line.startswith("## "):
            kind = line[3:]
        elif row := re.match(r"\| `(\w+)` \| ([\w, ]*) \|", line):
            found[row.group(1)] = (kind, {label for label in row.group(2).split(", ") if label})
    return found


def handed_on(stack, found):
    """(metric, dimensions) of what the agent makes of /metrics. What is wrong with its settings goes into `found`."""
    definition = stack.worked_out(container(stack, "metrics"))
    variables = {each["Name"]: each["Value"] for each in definition["Environment"]}
    scrape = yaml.safe_load(variables["PROMETHEUS_CONFIG_CONTENT"])["scrape_configs"][0]
    prometheus = json.loads(variables["CW_CONFIG_CONTENT"])["logs"]["metrics_collected"]["prometheus"]
    added = set(scrape["static_configs"][0]["labels"])
    dropped = [each["regex"] for each in scrape["metric_relabel_configs"] if each["action"] == "drop"]
    reference = of_the_gateway()
    for declaration in prometheus["emf_processor"]["metric_declaration"]:
        if not re.search(declaration["label_matcher"], scrape["job_name"]):
            found.append(f"the agent looks for jobs like {declaration['label_matcher']}, the job is {scrape['job_name']}")
        for selector in declaration["metric_selectors"]:
            selected = [name for name in reference if re.search(selector, name)]
            # Every alternative of a selector has to be there, or a misspelt one would hide behind the others.
            for spelt in alternatives(selector):
                if not any(re.search(spelt, name) for name in selected):
                    found.append(f"the agent selects {spelt}, and the gateway has no such metric")
            for name in selected:
                kind, labels = reference[name]
                if kind == "Histograms":
                    found.append(f"the agent hands on no histograms, such as {name}")
                if any(re.fullmatch(regex, name) for regex in dropped):
                    found.append(f"the agent selects {name} and drops it before")
                for dimensions in declaration["dimensions"]:
                    if set(dimensions) - labels - added:
                        found.append(f"the agent hands on {name} by {dimensions}, but its labels are {sorted(labels)}")
                    yield prometheus["emf_processor"]["metric_namespace"], name, frozenset(dimensions)


def alternatives(selector):
    group = re.search(r"\(([^()]+)\)", selector)
    if not group:
        return [selector]
    return [each for choice in group.group(1).split("|") for each in alternatives(selector.replace(group.group(0), choice, 1))]


def of_filters(stack, found):
    """What metric filters make of the gateway's log; each of their phrases has to be in its source."""
    source = "\n".join(path.read_text() for path in sorted((WORKSPACE / "gateway" / "src").rglob("*.rs")))
    for logical_id, resource in stack.resources("AWS::Logs::MetricFilter").items():
        properties = stack.worked_out(resource["Properties"])
        phrases = re.findall(r'"([^"]+)"', properties["FilterPattern"])
        found += [f"{logical_id} looks for {phrase!r}, which the gateway never says" for phrase in phrases if phrase not in source]
        for transformation in properties["MetricTransformations"]:
            yield transformation["MetricNamespace"], transformation["MetricName"], frozenset()


def emitted(stacks, found):
    listed = yaml.safe_load((FOLDER / "metrics.yaml").read_text())
    by_namespace = {**listed["functions"], **{name: service["metrics"] for name, service in listed["aws"].items()}}
    for namespace, metrics in by_namespace.items():
        for metric, sets in metrics.items():
            yield from ((namespace, metric, frozenset(dimensions)) for dimensions in sets)
    if "gateway" in stacks:
        yield from handed_on(stacks["gateway"], found)
        yield from of_filters(stacks["gateway"], found)


def problems(stacks):
    found = []
    there = set(emitted(stacks, found))
    used, wanted = set(), list(asked(stacks))
    for where, namespace, metric, dimensions in wanted:
        used.add((namespace, metric, dimensions))
        if (namespace, metric, dimensions) not in there:
            by = ", ".join(sorted(dimensions)) or "no dimension"
            found.append(f"{where}: nobody emits {metric} of {namespace} by {by}")
    ours = {(metric, dimensions) for namespace, metric, dimensions in there - used if namespace.startswith("Headgate")}
    found += [f"the agent hands on {metric} by {sorted(dimensions)}, which is paid for and which nobody looks at" for metric, dimensions in sorted(ours, key=str)]
    return found, f"{len(wanted)} references, {len(there)} metrics"
