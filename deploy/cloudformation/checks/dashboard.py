"""The dashboard's body: a string to every tool, and JSON to CloudWatch only once its variables are replaced."""

import json

WIDGETS = {"metric", "text"}


def bodies(stacks):
    """Each dashboard's body, as CloudWatch gets it; raises ValueError where that is no JSON."""
    for name, stack in stacks.items():
        for logical_id, resource in stack.resources("AWS::CloudWatch::Dashboard").items():
            text = stack.worked_out(resource["Properties"]["DashboardBody"])
            try:
                yield f"{name}.yaml, {logical_id}", json.loads(text)
            except ValueError as error:
                raise ValueError(f"{name}.yaml, {logical_id}: {error}") from error


def problems(stacks):
    found, widgets = [], 0
    try:
        for where, body in bodies(stacks):
            places = set()
            for widget in body["widgets"]:
                widgets += 1
                title = widget["properties"].get("title") or widget["properties"].get("markdown")
                if widget["type"] not in WIDGETS:
                    found.append(f"{where}: {title}: a widget of type {widget['type']}")
                covered = {(x, y) for x in range(widget["x"], widget["x"] + widget["width"]) for y in range(widget["y"], widget["y"] + widget["height"])}
                if max(x for x, _ in covered) > 23 or covered & places:
                    found.append(f"{where}: {title} lies over another widget, or beyond the edge")
                places |= covered
    except (ValueError, KeyError) as error:
        found.append(str(error))
    return found, f"{widgets} widgets"
