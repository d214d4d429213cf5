//! What is released stays: bytes, JSON and generated code of a client that was built against the last release go on
//! working.

use std::fs;
use std::path::{Path, PathBuf};

use crate::faults::Edit::{Add, Append, Remove, Replace};
use crate::faults::{self, ADMIN, Edit, Fault, INGEST, MORE, ProtoCopy, fault};
use crate::tool::{self, Finding};

const PROTO2: &str = "syntax = \"proto2\";\npackage headgate.more.v1;\n\
    message Batch { optional int32 number = 1 [default = 1]; optional string name = 2; extensions 100 to 200; }\n";

const EDITION: &str = "edition = \"2023\";\npackage headgate.more.v1;\n\
    message Batch { string name = 1; }\nenum Kind { KIND_UNSPECIFIED = 0; }\n";

const EXTENSION: &str = "syntax = \"proto3\";\npackage headgate.more.v1;\n\
    import \"google/protobuf/descriptor.proto\";\nextend google.protobuf.FieldOptions { bool is_identity = 50000; }\n";

/// A fault of a file of another syntax than ours.
const fn fault_of(setting: &'static [Edit], rule: &'static str, edits: &'static [Edit]) -> Fault {
    Fault { rule, setting, edits }
}

const FAULTS: &[Fault] = &[
    // Gone, or by another name.
    fault_of(
        &[Add(MORE, EXTENSION)],
        "EXTENSION_NO_DELETE",
        &[Replace(MORE, "extend google.protobuf.FieldOptions { bool is_identity = 50000; }", "")],
    ),
    fault("SERVICE_NO_DELETE", &[Replace(INGEST, "service IngestService", "service EventService")]),
    fault(
        "ENUM_NO_DELETE",
        &[Replace(INGEST, "enum Kind {", "enum About {"), Replace(INGEST, "Kind kind = 1;", "About kind = 1;")],
    ),
    fault("FILE_NO_DELETE", &[Remove(ADMIN)]),
    fault(
        "MESSAGE_NO_DELETE",
        &[
            Replace(INGEST, "repeated AssignedId assigned_ids", "repeated EventId assigned_ids"),
            Replace(INGEST, "message AssignedId {", "message EventId {"),
        ],
    ),
    fault("RPC_NO_DELETE", &[Replace(INGEST, "rpc PublishEvents(", "rpc SendEvents(")]),
    fault("ENUM_VALUE_NO_DELETE", &[Replace(INGEST, "REASON_SCHEMA = 12;", "")]),
    fault("FIELD_NO_DELETE", &[Replace(INGEST, "repeated EventWarning warnings = 8;", "")]),
    fault("ONEOF_NO_DELETE", &[Replace(INGEST, "oneof answer", "oneof outcome")]),
    fault_of(&[Add(MORE, PROTO2)], "EXTENSION_MESSAGE_NO_DELETE", &[Replace(MORE, "extensions 100 to 200;", "")]),
    fault("FILE_SAME_PACKAGE", &[Replace(INGEST, "package headgate.v1;", "package headgate.v2;")]),
    fault("ENUM_VALUE_SAME_NAME", &[Replace(INGEST, "REASON_SCHEMA = 12;", "REASON_MISFIT = 12;")]),
    fault("FIELD_SAME_NAME", &[Replace(INGEST, "uint32 warned = 7;", "uint32 warned_events = 7;")]),
    fault_of(
        &[Replace(INGEST, "REASON_SCHEMA = 12;", "REASON_SCHEMA = 12;\n  reserved 99;")],
        "RESERVED_ENUM_NO_DELETE",
        &[Replace(INGEST, "reserved 99;", "")],
    ),
    fault_of(
        &[Replace(INGEST, "uint32 warned = 7;", "uint32 warned = 7;\n  reserved 99;")],
        "RESERVED_MESSAGE_NO_DELETE",
        &[Replace(INGEST, "reserved 99;", "")],
    ),
    // Of another shape.
    fault("FIELD_SAME_TYPE", &[Replace(INGEST, "uint32 warned = 7;", "uint64 warned = 7;")]),
    fault("FIELD_SAME_CARDINALITY", &[Replace(INGEST, "uint32 warned = 7;", "optional uint32 warned = 7;")]),
    fault("FIELD_SAME_JSON_NAME", &[Replace(INGEST, "uint32 warned = 7;", "uint32 warned = 7 [json_name = \"w\"];")]),
    fault(
        "FIELD_SAME_JSTYPE",
        &[Replace(
            INGEST,
            "returned in the answer; unique among the batches in flight on this stream. Written first\n  \
             // by every standard serializer, which lets an overloaded gateway refuse a batch without reading the rest \
             of it.\n  uint64 sequence = 1;",
            "\n  uint64 sequence = 1 [jstype = JS_STRING];",
        )],
    ),
    fault("FIELD_SAME_ONEOF", &[Replace(INGEST, "StreamNotice notice = 4;\n  }", "}\n  StreamNotice notice = 4;")]),
    fault(
        "FIELD_SAME_CPP_STRING_TYPE",
        &[Replace(INGEST, "bytes event_data = 7;", "bytes event_data = 7 [ctype = CORD];")],
    ),
    fault_of(&[Add(MORE, PROTO2)], "FIELD_SAME_DEFAULT", &[Replace(MORE, "[default = 1]", "[default = 2]")]),
    fault_of(
        &[Add(MORE, PROTO2)],
        "FIELD_SAME_JAVA_UTF8_VALIDATION",
        &[Replace(MORE, "message Batch", "option java_string_check_utf8 = true;\nmessage Batch")],
    ),
    fault_of(
        &[Add(MORE, EDITION)],
        "FIELD_SAME_UTF8_VALIDATION",
        &[Replace(MORE, "string name = 1;", "string name = 1 [features.utf8_validation = NONE];")],
    ),
    fault_of(
        &[Add(MORE, PROTO2)],
        "MESSAGE_SAME_REQUIRED_FIELDS",
        &[Replace(MORE, "optional string name = 2;", "required string name = 2;")],
    ),
    fault(
        "MESSAGE_NO_REMOVE_STANDARD_DESCRIPTOR_ACCESSOR",
        &[Replace(INGEST, "message Event {", "message Event {\n  option no_standard_descriptor_accessor = true;")],
    ),
    fault_of(
        &[Add(MORE, EDITION)],
        "MESSAGE_SAME_JSON_FORMAT",
        &[Replace(MORE, "message Batch {", "message Batch { option features.json_format = LEGACY_BEST_EFFORT; ")],
    ),
    fault_of(
        &[Add(MORE, EDITION)],
        "ENUM_SAME_JSON_FORMAT",
        &[Replace(MORE, "enum Kind {", "enum Kind { option features.json_format = LEGACY_BEST_EFFORT; ")],
    ),
    fault_of(
        &[Add(MORE, EDITION)],
        "ENUM_SAME_TYPE",
        &[Replace(MORE, "enum Kind {", "enum Kind { option features.enum_type = CLOSED; ")],
    ),
    fault("RPC_SAME_CLIENT_STREAMING", &[Replace(INGEST, "(stream StreamEventsRequest)", "(StreamEventsRequest)")]),
    fault("RPC_SAME_SERVER_STREAMING", &[Replace(INGEST, "(stream StreamEventsResponse)", "(StreamEventsResponse)")]),
    fault(
        "RPC_SAME_REQUEST_TYPE",
        &[Replace(INGEST, "rpc PublishEvents(PublishEventsRequest)", "rpc PublishEvents(Event)")],
    ),
    fault("RPC_SAME_RESPONSE_TYPE", &[Replace(INGEST, "returns (PublishEventsResponse)", "returns (BatchVerdict)")]),
    fault(
        "RPC_SAME_IDEMPOTENCY_LEVEL",
        &[Replace(
            INGEST,
            "returns (PublishEventsResponse);",
            "returns (PublishEventsResponse) { option idempotency_level = IDEMPOTENT; }",
        )],
    ),
    // Generated to something else.
    fault_of(
        &[Add(MORE, "syntax = \"proto2\";\npackage headgate.more.v1;\n")],
        "FILE_SAME_SYNTAX",
        &[Replace(MORE, "proto2", "proto3")],
    ),
    fault("FILE_SAME_CC_ENABLE_ARENAS", &[Append(INGEST, "option cc_enable_arenas = false;\n")]),
    fault("FILE_SAME_CC_GENERIC_SERVICES", &[Append(INGEST, "option cc_generic_services = true;\n")]),
    fault("FILE_SAME_CSHARP_NAMESPACE", &[Replace(INGEST, "\"Headgate.V1\"", "\"Headgate.Ingest\"")]),
    fault("FILE_SAME_GO_PACKAGE", &[Replace(INGEST, ";headgatev1\"", ";headgate\"")]),
    fault("FILE_SAME_JAVA_GENERIC_SERVICES", &[Append(INGEST, "option java_generic_services = true;\n")]),
    fault(
        "FILE_SAME_JAVA_MULTIPLE_FILES",
        &[Replace(INGEST, "java_multiple_files = true", "java_multiple_files = false")],
    ),
    fault("FILE_SAME_JAVA_OUTER_CLASSNAME", &[Append(INGEST, "option java_outer_classname = \"Ingest\";\n")]),
    fault("FILE_SAME_JAVA_PACKAGE", &[Replace(INGEST, "\"io.headgate.v1\"", "\"io.headgate.ingest\"")]),
    fault("FILE_SAME_OBJC_CLASS_PREFIX", &[Append(INGEST, "option objc_class_prefix = \"HG\";\n")]),
    fault("FILE_SAME_OPTIMIZE_FOR", &[Append(INGEST, "option optimize_for = CODE_SIZE;\n")]),
    fault("FILE_SAME_PHP_CLASS_PREFIX", &[Append(INGEST, "option php_class_prefix = \"Hg\";\n")]),
    fault("FILE_SAME_PHP_METADATA_NAMESPACE", &[Append(INGEST, "option php_metadata_namespace = \"Hg\";\n")]),
    fault("FILE_SAME_PHP_NAMESPACE", &[Append(INGEST, "option php_namespace = \"Hg\";\n")]),
    fault("FILE_SAME_PY_GENERIC_SERVICES", &[Append(INGEST, "option py_generic_services = true;\n")]),
    fault("FILE_SAME_RUBY_PACKAGE", &[Append(INGEST, "option ruby_package = \"Hg\";\n")]),
    fault("FILE_SAME_SWIFT_PREFIX", &[Append(INGEST, "option swift_prefix = \"HG\";\n")]),
];

#[test]
fn the_last_release_still_works() {
    let findings: Vec<String> = tool::breaking(&faults::ours(), &last_release()).iter().map(Finding::line).collect();
    assert!(
        findings.is_empty(),
        "this breaks who was built against {}:\n{}\nadd beside what there is, or make a new version of the package",
        last_release().display(),
        findings.join("\n")
    );
}

#[test]
fn every_rule_catches_its_break() {
    faults::assert_one_for_each_rule("breaking", FAULTS);
    faults::assert_caught(FAULTS, |fault| {
        let before = ProtoCopy::new().edited(fault.setting);
        let after = ProtoCopy::new().edited(fault.setting).edited(fault.edits);
        tool::breaking(after.folder(), before.folder())
    });
}

#[test]
fn what_is_added_breaks_nothing() {
    let added = ProtoCopy::new().edited(&[
        Replace(INGEST, "uint32 warned = 7;", "uint32 warned = 7;\n  uint32 late = 9;"),
        Replace(INGEST, "REASON_SCHEMA = 12;", "REASON_SCHEMA = 12;\n  REASON_LATE = 13;"),
        Replace(
            INGEST,
            "service IngestService {",
            "service IngestService {\n  rpc Ask(AskRequest) returns (AskResponse);",
        ),
        Append(INGEST, "message AskRequest {}\nmessage AskResponse {}\n"),
        Add(MORE, "syntax = \"proto3\";\npackage headgate.more.v1;\n"),
    ]);
    let findings: Vec<String> =
        tool::breaking(added.folder(), ProtoCopy::new().folder()).iter().map(Finding::line).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// A release leaves its protos and its data folder; who forgot one of them is told.
#[test]
fn the_released_protos_are_those_of_the_last_release() {
    let protos = versions(&faults::ours().join("released"));
    let folders = versions(&faults::ours().join("../tests/fixtures/releases"));
    assert_eq!(protos.len(), 1, "proto/released keeps the last release only: {protos:?}");
    assert_eq!(protos.last(), folders.last(), "docs/releasing.md: protos and data folder are kept together");
}

fn last_release() -> PathBuf {
    let released = faults::ours().join("released");
    let version = versions(&released).pop().expect("proto/released has what was released");
    released.join(version.map(|part| part.to_string()).join("."))
}

/// The folders that are named after a version, oldest first.
fn versions(folder: &Path) -> Vec<[u32; 3]> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut versions: Vec<[u32; 3]> = entries
        .filter_map(|entry| {
            let name = entry.expect("the folder can be read").file_name();
            let parts: Vec<u32> = name.to_str()?.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
            parts.try_into().ok()
        })
        .collect();
    versions.sort_unstable();
    versions
}
