//! buf's standard rules: how packages, files, messages, enums and services are laid out and named.

use crate::faults::Edit::{Add, Append, Replace};
use crate::faults::{self, ADMIN, Fault, INGEST, ITEMS, MORE, ProtoCopy, fault};
use crate::tool::{self, Finding};

/// In the package of the ingest API, in a file of its own.
const BESIDE: &str = "headgate/v1/beside.proto";
const OTHER_PACKAGE_FILE: &str = "headgate/more/v1/other.proto";

const FAULTS: &[Fault] = &[
    fault("DIRECTORY_SAME_PACKAGE", &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.more.v1;\n")]),
    fault("PACKAGE_DEFINED", &[Replace(INGEST, "package headgate.v1;", "")]),
    fault("PACKAGE_DIRECTORY_MATCH", &[Replace(INGEST, "package headgate.v1;", "package headgate.ingest.v1;")]),
    fault(
        "PACKAGE_NO_IMPORT_CYCLE",
        &[
            Append(ADMIN, "import \"headgate/v1/ingest.proto\";\nmessage Batch { headgate.v1.Event event = 1; }\n"),
            Add(
                BESIDE,
                "syntax = \"proto3\";\npackage headgate.v1;\nimport \"headgate/admin/v1/admin.proto\";\n\
                 message Owner { headgate.admin.v1.Application application = 1; }\n",
            ),
        ],
    ),
    fault("PACKAGE_SAME_DIRECTORY", &[Add(MORE, "syntax = \"proto3\";\npackage headgate.v1;\n")]),
    fault(
        "ENUM_FIRST_VALUE_ZERO",
        &[Add(MORE, "syntax = \"proto2\";\npackage headgate.more.v1;\nenum Kind { KIND_ONE = 1; }\n")],
    ),
    fault(
        "ENUM_NO_ALLOW_ALIAS",
        &[Replace(
            INGEST,
            "VERDICT_CODE_UNSPECIFIED = 0;",
            "option allow_alias = true; VERDICT_CODE_UNSPECIFIED = 0; VERDICT_CODE_STORED = 1;",
        )],
    ),
    fault("ENUM_PASCAL_CASE", &[Append(INGEST, "enum stream_kind { STREAM_KIND_UNSPECIFIED = 0; }\n")]),
    fault("ENUM_VALUE_UPPER_SNAKE_CASE", &[Replace(INGEST, "REASON_SCHEMA = 12;", "REASON_Schema = 12;")]),
    fault("FIELD_LOWER_SNAKE_CASE", &[Replace(INGEST, "uint32 warned = 7;", "uint32 warnedEvents = 7;")]),
    fault(
        "FIELD_NOT_REQUIRED",
        &[Add(MORE, "syntax = \"proto2\";\npackage headgate.more.v1;\nmessage Batch { required string name = 1; }\n")],
    ),
    fault(
        "IMPORT_NO_PUBLIC",
        &[Replace(INGEST, "import \"google/protobuf/any.proto\"", "import public \"google/protobuf/any.proto\"")],
    ),
    fault("IMPORT_USED", &[Append(INGEST, "import \"google/protobuf/empty.proto\";\n")]),
    fault("MESSAGE_PASCAL_CASE", &[Append(INGEST, "message more_events {}\n")]),
    fault("ONEOF_LOWER_SNAKE_CASE", &[Replace(INGEST, "oneof answer", "oneof theAnswer")]),
    fault("PACKAGE_LOWER_SNAKE_CASE", &[Replace(INGEST, "package headgate.v1;", "package Headgate.v1;")]),
    fault(
        "PACKAGE_SAME_CSHARP_NAMESPACE",
        &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.v1;\noption csharp_namespace = \"Another\";\n")],
    ),
    fault(
        "PACKAGE_SAME_GO_PACKAGE",
        &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.v1;\noption go_package = \"example.com/another\";\n")],
    ),
    fault(
        "PACKAGE_SAME_JAVA_MULTIPLE_FILES",
        &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.v1;\noption java_multiple_files = false;\n")],
    ),
    fault(
        "PACKAGE_SAME_JAVA_PACKAGE",
        &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.v1;\noption java_package = \"com.example\";\n")],
    ),
    fault(
        "PACKAGE_SAME_PHP_NAMESPACE",
        &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.v1;\noption php_namespace = \"Another\";\n")],
    ),
    fault(
        "PACKAGE_SAME_RUBY_PACKAGE",
        &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.v1;\noption ruby_package = \"Another\";\n")],
    ),
    fault(
        "PACKAGE_SAME_SWIFT_PREFIX",
        &[Add(BESIDE, "syntax = \"proto3\";\npackage headgate.v1;\noption swift_prefix = \"AN\";\n")],
    ),
    fault("RPC_PASCAL_CASE", &[Replace(INGEST, "rpc PublishEvents(", "rpc publishEvents(")]),
    fault("SERVICE_PASCAL_CASE", &[Append(INGEST, "service moreService {}\n")]),
    fault("SYNTAX_SPECIFIED", &[Add(MORE, "package headgate.more.v1;\n")]),
    fault("ENUM_VALUE_PREFIX", &[Replace(INGEST, "REASON_SCHEMA = 12;", "SCHEMA_MISFIT = 12;")]),
    fault("ENUM_ZERO_VALUE_SUFFIX", &[Replace(INGEST, "REASON_UNSPECIFIED = 0;", "REASON_NONE = 0;")]),
    fault(
        "FILE_LOWER_SNAKE_CASE",
        &[Add("headgate/more/v1/MoreEvents.proto", "syntax = \"proto3\";\npackage headgate.more.v1;\n")],
    ),
    fault(
        "PACKAGE_VERSION_SUFFIX",
        &[Add("headgate/more/more.proto", "syntax = \"proto3\";\npackage headgate.more;\n")],
    ),
    fault(
        "RPC_REQUEST_RESPONSE_UNIQUE",
        &[Replace(INGEST, "rpc StreamEvents(stream StreamEventsRequest)", "rpc StreamEvents(PublishEventsRequest)")],
    ),
    fault(
        "RPC_REQUEST_STANDARD_NAME",
        &[Replace(INGEST, "rpc StreamEvents(stream StreamEventsRequest)", "rpc StreamEvents(stream Event)")],
    ),
    fault(
        "RPC_RESPONSE_STANDARD_NAME",
        &[Replace(INGEST, "returns (stream StreamEventsResponse)", "returns (stream BatchVerdict)")],
    ),
    fault("SERVICE_SUFFIX", &[Replace(INGEST, "service IngestService", "service Ingest")]),
    fault(
        "STABLE_PACKAGE_NO_IMPORT_UNSTABLE",
        &[
            Add(
                "headgate/more/v1beta1/more.proto",
                "syntax = \"proto3\";\npackage headgate.more.v1beta1;\nmessage Trial {}\n",
            ),
            Add(
                OTHER_PACKAGE_FILE,
                "syntax = \"proto3\";\npackage headgate.more.v1;\nimport \"headgate/more/v1beta1/more.proto\";\n\
                 message Batch { headgate.more.v1beta1.Trial trial = 1; }\n",
            ),
        ],
    ),
    fault("COMMENT_MESSAGE", &[Replace(ITEMS, "// A player has looked at an item in the shop.", "")]),
    fault("COMMENT_FIELD", &[Append(ITEMS, "// Some.\nmessage Some { string undocumented = 1; }\n")]),
    fault("COMMENT_ENUM", &[Append(ITEMS, "enum Some {\n  // None.\n  SOME_UNSPECIFIED = 0;\n}\n")]),
    fault("COMMENT_ENUM_VALUE", &[Append(ITEMS, "// Some.\nenum Some { SOME_UNSPECIFIED = 0; }\n")]),
    fault(
        "COMMENT_ONEOF",
        &[Append(ITEMS, "// Some.\nmessage Some {\n  oneof which {\n    // One.\n    string one = 1;\n  }\n}\n")],
    ),
    fault("COMMENT_SERVICE", &[Append(ITEMS, "service SomeService {}\n")]),
    fault(
        "COMMENT_RPC",
        &[Append(
            ITEMS,
            "message AskRequest {}\nmessage AskResponse {}\nservice SomeService { rpc Ask(AskRequest) returns (AskResponse); }\n",
        )],
    ),
];

#[test]
fn the_protos_keep_to_bufs_standard_rules() {
    let findings: Vec<String> = tool::lint(&faults::ours()).iter().map(Finding::line).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn every_standard_rule_catches_its_fault() {
    faults::assert_one_for_each_rule("lint", FAULTS);
    faults::assert_caught(FAULTS, |fault| {
        tool::lint(ProtoCopy::new().edited(fault.setting).edited(fault.edits).folder())
    });
}
