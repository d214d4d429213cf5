//! Lines of a program that stand on a page to show how a game, or its server, sends. Those of `docs/clients` are compiled
//! with the sender that the page's own commands have built, within a function that has what the lines assume. Python's and
//! JavaScript's are run.

use std::path::Path;

use headgate_tests::{node, python};

use super::block::Block;
use super::script::fed;

struct Fragment {
    page: &'static str,
    language: &'static str,
    /// Around the page's lines.
    before: &'static str,
    after: &'static str,
    /// What others' packages are installed in: an interpreter or a folder, `$TOOL` to the command.
    tool: Option<fn() -> &'static Path>,
    /// Reads the program from standard input.
    command: &'static str,
}

const FRAGMENTS: [Fragment; 7] = [
    Fragment {
        page: "docs/clients/cpp/README.md",
        language: "cpp",
        before: "#include <string>\n\n#include \"sender.h\"\n\n\
                 void Page(const std::string& key, const headgate::v1::Event& event) {\n",
        after: "}\n",
        tool: None,
        command: "g++ -std=c++17 -Wall -Werror -fsyntax-only -I docs/clients/cpp -I target/clients/cpp/generated \
                  $(pkg-config --cflags grpc++) -x c++ -",
    },
    Fragment {
        page: "docs/clients/go/README.md",
        language: "go",
        before: "package main\n\nimport (\n\t\"time\"\n\n\tpb \"github.com/headgate/headgate/gen/go/headgate/v1\"\n\
                 \t\"google.golang.org/grpc/credentials\"\n)\n\nfunc page(key string, event *pb.Event) error {\n",
        after: "\treturn err\n}\n",
        tool: None,
        command: "cat >target/clients/go/src/send/page.go && (cd target/clients/go/src/send && GO111MODULE=off \
                  GOPATH=$PWD/../..:/usr/share/gocode go build -o ../../page)",
    },
    Fragment {
        page: "docs/clients/java/README.md",
        language: "java",
        before: "import io.grpc.TlsChannelCredentials;\nimport java.util.concurrent.TimeUnit;\n\nclass Page {\n\
                 static void page(String key, io.headgate.v1.Event event) throws Exception {\n",
        after: "}\n}\n",
        tool: None,
        command: "cat >target/clients/java/Page.java && javac -cp 'target/clients/java/classes:/usr/share/java/*' \
                  -d target/clients/java/classes target/clients/java/Page.java",
    },
    Fragment {
        page: "docs/clients/typescript/README.md",
        language: "ts",
        before: "import { Sender } from \"./sender\";\n\ntype Sent = Parameters<Sender[\"put\"]>[0];\n\n\
                 export async function page(key: string, eventTimestamp: Sent[\"eventTimestamp\"]): Promise<void> {\n",
        after: "}\n",
        tool: None,
        command: "cat >docs/clients/typescript/page.ts && (cd docs/clients/typescript && npx tsc --noEmit --target es2022 \
                  --module node16 --strict --skipLibCheck page.ts)",
    },
    Fragment {
        page: "docs/clients/python/README.md",
        language: "python",
        // The page's gateway has a name and TLS; the one that runs here has neither.
        before: "import inspect, os, sys\n\nsys.path.append(\"docs/clients/python\")\nimport sender\n\
                 from google.protobuf.timestamp_pb2 import Timestamp\nfrom headgate.v1 import ingest_pb2 as pb\n\n\
                 key = open(\"headgate-data/demo-api-key\").read().strip()\nnow = Timestamp()\nnow.GetCurrentTime()\n\n\
                 def Sender(*words, **named):\n\
                 \x20   given = inspect.signature(sender.Sender).bind(*words, **named).arguments\n\
                 \x20   assert given[\"tls\"] and given[\"address\"].startswith(\"gateway.example:\"), given\n\
                 \x20   return sender.Sender(os.environ[\"HEADGATE_GRPC__LISTEN\"], given[\"key\"])\n\n",
        after: "",
        tool: None,
        command: "PYTHONPATH=target/clients/python python",
    },
    Fragment {
        page: "docs/otlp.md",
        language: "python",
        before: "",
        // An exporter that fails says so in a log, and its process ends well.
        after: "\nimport os, urllib.request\n\n\
                metrics = urllib.request.urlopen(f\"http://{os.environ['HEADGATE_OPERATE__LISTEN']}/metrics\").read().decode()\n\
                taken = [line for line in metrics.splitlines() if 'door=\"otlp_grpc\"' in line]\n\
                assert taken and taken[0].endswith(\" 1\"), taken\n",
        tool: Some(python::otlp),
        command: "\"$TOOL\" -",
    },
    Fragment {
        page: "docs/grpc-web.md",
        language: "js",
        before: "import { readFileSync } from \"node:fs\";\nimport { timestampNow } from \"@bufbuild/protobuf/wkt\";\n\n\
                 const key = readFileSync(\"headgate-data/demo-api-key\", \"utf8\").trim();\n\
                 const events = [{ eventType: \"login\", eventName: \"web.login\", eventTimestamp: timestampNow() }];\n\n",
        after: "\nif (verdict.accepted !== 1) throw new Error(JSON.stringify(verdict));\n",
        tool: Some(node::grpc_web),
        // The page's gateway has a name and TLS; the one that runs here has neither.
        command: "mkdir -p target; ln -s \"$TOOL/node_modules\" \"$TOOL/gen\" target; \
                  sed \"s#https://gateway.example:8080#http://$HEADGATE_REST__LISTEN#\" >target/page.mjs; \
                  node target/page.mjs",
    },
];

/// What makes sure of a block that is such lines.
pub(super) fn step(page: &str, block: &Block) -> Option<String> {
    let of_it = |fragment: &&Fragment| fragment.page == page && fragment.language == block.language;
    let Fragment { before, after, tool, command, .. } = FRAGMENTS.iter().find(of_it)?;
    let tool = tool.map(|made| format!("TOOL='{}'; ", made().display())).unwrap_or_default();
    Some(fed(&format!("{tool}{command}"), &format!("{before}{}{after}", block.text)))
}
