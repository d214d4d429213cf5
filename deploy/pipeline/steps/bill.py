"""A software bill of materials in CycloneDX, of what Cargo.lock pins: names, versions, checksums, and what needs what."""

import tomllib

from steps.names import WORKSPACE

REGISTRY = "registry+"


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def of_materials(version, commit):
    """The same for the same lock file, version and commit: no time, no random number."""
    packages = tomllib.loads((WORKSPACE / "Cargo.lock").read_text())["package"]
    by_name = {}
    for package in packages:
        by_name.setdefault(package["name"], []).append(package)

    def resolved(dependency):
        # "name", or "name version" where there are several.
        name, *rest = dependency.split(" ")
        return next(each for each in by_name[name] if not rest or each["version"] == rest[0])

    components, needs = [], []
    for package in packages:
        component = {"type": "library", "bom-ref": reference(package), "name": package["name"], "version": package["version"], "purl": reference(package)}
        if "checksum" in package:
            component["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
        if not package.get("source", "").startswith(REGISTRY):
            component["licenses"] = [{"license": {"id": "Apache-2.0"}}]
        components.append(component)
        needs.append({"ref": reference(package), "dependsOn": sorted({reference(resolved(each)) for each in package.get("dependencies", [])})})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": "headgate", "name": "headgate", "version": version,
                "properties": [{"name": "commit", "value": commit}],
            },
        },
        "components": sorted(components, key=lambda each: each["bom-ref"]),
        "dependencies": sorted(needs, key=lambda each: each["ref"]),
    }
