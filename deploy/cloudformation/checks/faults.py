"""Seeded faults: each one change to a shipped template, and the checker that has to catch it.

The checkers earn their place here: a template that passes says nothing if a broken one passes, too.
"""

import concurrent.futures
import re
import typing

from checks import dashboard, guard, leaderboard, lint, metrics, pipeline, wiring
from checks.template import shipped


class Fault(typing.NamedTuple):
    """A change of the text: the first `old` after `after` becomes `new`. Found by cfn-lint's rule, ours, or a check."""

    what: str
    stack: str
    after: str
    old: str
    new: str
    by: str


FAULTS = [
    # What schemas know.
    Fault("a property of a resource is misspelt", "data", "  Stream:", "RetentionPeriodHours:", "RetentionPeriodHour:", "lint E3002"),
    Fault("a property of a container is misspelt", "gateway", "- Name: gateway", "StopTimeout:", "StopTimeOut:", "lint E3002"),
    Fault("a value has the wrong type", "data", "  Applications:", "DeletionProtectionEnabled: true", "DeletionProtectionEnabled: [1]", "lint E3012"),
    Fault("a Ref leads nowhere", "gateway", "  Service:", "!Ref TaskDefinition", "!Ref Taskdefinition", "lint E1020"),
    Fault("an attribute does not exist", "gateway", "  TaskDefinition:", "!GetAtt TaskRole.Arn", "!GetAtt TaskRole.Name", "lint E1010"),
    Fault("a value is not one of those allowed", "gateway", "  GrpcTargets:", "TargetType: ip", "TargetType: address", "lint E3030"),
    Fault("CPU and memory that Fargate does not pair", "gateway", "  TaskDefinition:", "Cpu: !FindInMap [Sizes, !Ref TaskSize, Cpu]\n      Memory: !FindInMap [Sizes, !Ref TaskSize, Memory]", 'Cpu: "2048"\n      Memory: "512"', "lint E3047"),
    Fault("a size among those offered that Fargate does not pair", "gateway", "    medium:", 'Memory: "4096"', 'Memory: "512"', "check wiring"),
    Fault("a retired runtime", "streaming", "  Transform:", "Runtime: provided.al2023", "Runtime: nodejs12.x", "lint E2533"),
    Fault("a function's timeout over 900 s", "streaming", "  Transform:", "Timeout: 60", "Timeout: 901", "lint E3717"),
    Fault("a tumbling window over 900 s", "streaming", "", "TumblingWindowInSeconds: 60", "TumblingWindowInSeconds: 901", "lint E3034"),
    Fault("an alarm's period of 45 s", "gateway", "  RollbackBug:", "Period: 60", "Period: 45", "lint E3615"),
    Fault("an IAM action is misspelt", "gateway", "  TaskRole:", "kinesis:PutRecords", "kinesis:PutRecrods", "lint W3037"),
    Fault("a parameter is used nowhere", "gateway", "", "Parameters:\n", "Parameters:\n  Unused:\n    Type: String\n    Default: x\n", "lint W2001"),
    Fault("resources wait for each other", "data", "  Key:", "EnableKeyRotation: true", "EnableKeyRotation: !GetAtt Lake.Arn", "lint E3004"),
    # What only we know.
    Fault("a stop that takes longer than Fargate waits", "gateway", "- Name: gateway", "StopTimeout: 60", "StopTimeout: 150", "rule stops_fit_into_fargate"),
    Fault("every action is allowed", "gateway", "  TaskRole:", "[kinesis:PutRecords, kinesis:DescribeStreamSummary, kinesis:ListShards]", '"*"', "rule actions_are_named"),
    Fault("a service's every action is allowed", "streaming", "  TransformRole:", "dynamodb:GetItem", "dynamodb:*", "rule actions_are_named"),
    Fault("an action is allowed on everything", "gateway", "  ExecutionRole:", "Resource: !Ref AdminToken", 'Resource: "*"', "rule resources_are_named"),
    Fault("another account's service may take a role", "streaming", "  DeliveryRole:", "aws:SourceAccount:", "aws:PrincipalAccount:", "rule roles_trust_only_this_account"),
    Fault("a bucket is not encrypted", "data", "  Lake:", "SSEAlgorithm: aws:kms", "SSEAlgorithm: AES256", "rule buckets_are_encrypted"),
    Fault("a bucket can be made public", "data", "  Lake:", "BlockPublicPolicy: true", "BlockPublicPolicy: false", "rule buckets_are_private"),
    Fault("a bucket takes calls without TLS", "data", "  LakePolicy:", "aws:SecureTransport:", "aws:ViaAWSService:", "rule buckets_take_tls_only"),
    Fault("a stream is not encrypted", "data", "  Stream:", "      StreamEncryption:\n        EncryptionType: KMS\n        KeyId: !GetAtt Key.Arn\n", "", "rule streams_are_encrypted"),
    Fault("a table can't be restored", "data", "  Books:", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "rule tables_are_encrypted_and_can_be_restored"),
    Fault("a log group is kept for ever", "gateway", "  GatewayLog:", "      RetentionInDays: !Ref LogRetentionDays\n", "", "rule logs_are_encrypted_and_end"),
    Fault("data goes with its stack", "data", "  Lake:", "DeletionPolicy: Retain", "DeletionPolicy: Delete", "rule data_outlives_its_stack"),
    Fault("a buffer under 64 MiB with Parquet", "streaming", "  DirectDelivery:", "SizeInMBs: !Ref BufferMegabytes", "SizeInMBs: 32", "rule parquet_has_buffers_of_64_mebibytes"),
    Fault("a parameter that allows such a buffer", "streaming", "  BufferMegabytes:", "MinValue: 64", "MinValue: 1", "rule parquet_has_buffers_of_64_mebibytes"),
    Fault("dynamic partitioning without the partitions in the prefix", "streaming", "  StreamDelivery:", "/day=!{partitionKeyFromLambda:day}/", "/", "rule partitions_are_in_the_prefix"),
    Fault("records of many events are not taken apart", "streaming", "  DirectDelivery:", "Type: RecordDeAggregation", "Type: AppendDelimiterToRecord", "rule direct_puts_are_taken_apart_at_newlines"),
    Fault("errors are written among the events", "streaming", "  StreamDelivery:", "ErrorOutputPrefix: errors/stream/!{firehose:error-output-type}/", "ErrorOutputPrefix: raw_events/!{firehose:error-output-type}/", "rule errors_have_a_place"),
    Fault("a failed item takes its whole batch along", "streaming", "  MetricsMapping:", "      FunctionResponseTypes: [ReportBatchItemFailures]\n", "", "rule mappings_lose_nothing_quietly"),
    Fault("batches that are given up are named nowhere", "streaming", "  MetricsMapping:", "        OnFailure:\n          Destination: !GetAtt FailedBatches.Arn\n", "        {}\n", "rule mappings_lose_nothing_quietly"),
    Fault("a secret in the environment", "gateway", "- Name: gateway", "          Secrets:\n            - Name: HEADGATE_ADMIN__TOKEN\n              ValueFrom: !Ref AdminToken\n", "            - Name: HEADGATE_ADMIN__TOKEN\n              Value: sesame-open-yourself\n", "rule secrets_are_not_in_the_environment"),
    Fault("an image by tag", "gateway", "  GatewayImage:", '"^.+@sha256:[0-9a-f]{64}$"', '"^.+:.+$"', "rule images_are_named_by_digest"),
    Fault("a log that can hold up events", "gateway", "- Name: gateway", "mode: non-blocking", "mode: blocking", "rule logs_hold_up_nothing"),
    Fault("gRPC without ALPN", "gateway", "  GrpcListener:", "      AlpnPolicy: [HTTP2Only]\n", "", "rule listeners_speak_tls"),
    Fault("the load balancer cuts off draining streams", "gateway", "  GrpcTargets:", 'enabled\n          Value: "false"', 'enabled\n          Value: "true"', "rule targets_let_the_gateway_drain"),
    Fault("the operators' listener is open to addresses", "gateway", "  TaskSecurityGroup:\n    Type: AWS::EC2::SecurityGroup\n", "FromPort: 9090\n          ToPort: 9090\n          SourceSecurityGroupId: !GetAtt LoadBalancerSecurityGroup.GroupId", "FromPort: 9090\n          ToPort: 9090\n          CidrIp: 0.0.0.0/0", "rule operators_are_private"),
    Fault("a deployment does not take itself back", "gateway", "        Alarms:", "Rollback: true", "Rollback: false", "rule deployments_take_themselves_back"),
    Fault("an alarm that rings at one point", "ops", "  Unanswered:", "DatapointsToAlarm: 10", "DatapointsToAlarm: 1", "rule alarms_wait_for_more_than_one_point"),
    Fault("an alarm for nobody", "ops", "  Unanswered:", "      AlarmActions: [!Ref Topic]\n", "", "rule alarms_tell_somebody"),
    Fault("an API key in the environment", "loadtest", "- Name: load-tester", "          Secrets:\n            - Name: HEADGATE_API_KEY\n              ValueFrom: !Ref ApiKeys\n", "            - Name: HEADGATE_API_KEY\n              Value: hg_sesame\n", "rule secrets_are_not_in_the_environment"),
    Fault("a load tester by tag", "loadtest", "  LoadTesterImage:", '"^.+@sha256:[0-9a-f]{64}$"', '"^.+:.+$"', "rule images_are_named_by_digest"),
    Fault("a load tester that is killed before it has left its result", "loadtest", "- Name: load-tester", "          StopTimeout: 120\n", "", "rule stops_fit_into_fargate"),
    Fault("a load tester may read", "loadtest", "  TaskRole:", "Action: s3:PutObject", "Action: [s3:PutObject, s3:GetObject]", "rule load_testers_only_leave_results"),
    Fault("a load tester may write anywhere in the bucket", "loadtest", "  TaskRole:", "${Results.Arn}/runs/*", "${Results.Arn}/*", "rule load_testers_only_leave_results"),
    Fault("a load tester reaches everything", "loadtest", "  TaskSecurityGroup:", "IpProtocol: tcp", 'IpProtocol: "-1"', "rule nothing_connects_to_load_testers"),
    Fault("results are kept for ever", "loadtest", "  Results:", "ExpirationInDays: !Ref ResultRetentionDays", "ExpiredObjectDeleteMarker: true", "rule results_end"),
    Fault("the results' bucket can be made public", "loadtest", "  Results:", "RestrictPublicBuckets: true", "RestrictPublicBuckets: false", "rule buckets_are_private"),
    Fault("a window of another length than the metrics'", "streaming", "  MetricsMapping:", "TumblingWindowInSeconds: 60", "TumblingWindowInSeconds: 30", "rule metrics_have_windows_of_a_minute"),
    Fault("a leaderboard that everybody may read unless told otherwise", "leaderboard", "  Access:", "Default: AWS_IAM", "Default: NONE", "rule routes_ask_who_calls"),
    Fault("a route that asks nobody", "leaderboard", "  PlayerRoute:", "AuthorizationType: !Ref Access", "AuthorizationType: NONE", "rule routes_ask_who_calls"),
    Fault("requests without end", "leaderboard", "  Stage:", "        ThrottlingRateLimit: !Ref RequestsPerSecond\n", "", "rule stages_have_a_rate"),
    Fault("a leaderboard that begins with what comes next", "leaderboard", "  ConsumeMapping:", "StartingPosition: TRIM_HORIZON", "StartingPosition: LATEST", "rule leaderboards_begin_at_the_beginning"),
    Fault("a score that can't be written takes its whole batch along", "leaderboard", "  ConsumeMapping:", "      FunctionResponseTypes: [ReportBatchItemFailures]\n", "", "rule mappings_lose_nothing_quietly"),
    Fault("one bad record holds up its shard", "leaderboard", "  ConsumeMapping:", "BisectBatchOnFunctionError: true", "BisectBatchOnFunctionError: false", "rule mappings_lose_nothing_quietly"),
    Fault("what answers requests may write", "leaderboard", "  ServeRole:", "Action: dynamodb:GetItem", "Action: [dynamodb:GetItem, dynamodb:PutItem]", "rule leaderboards_are_served_by_who_only_reads"),
    Fault("players are kept for ever", "leaderboard", "  Players:", "      TimeToLiveSpecification:\n        AttributeName: expires_at\n        Enabled: true\n", "", "rule players_are_forgotten"),
    Fault("a leaderboard that can't be restored", "leaderboard", "  Players:", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "rule tables_are_encrypted_and_can_be_restored"),
    Fault("a queue that is not encrypted", "leaderboard", "  FailedBatches:\n", "      KmsMasterKeyId: !Ref KeyArn\n", "", "rule queues_and_topics_are_encrypted"),
    # What no schema and no rule about one template knows.
    Fault("a dashboard that is no JSON", "ops", "  Dashboard:", '"stat": "Sum",', '"stat": "Sum"', "check dashboard"),
    Fault("a variable that breaks the dashboard's JSON", "ops", "  Dashboard:", '"region": "${AWS::Region}"', '"region": ${AWS::Region}', "check dashboard"),
    Fault("a widget over another", "ops", "  Dashboard:", '"x": 8, "y": 1,', '"x": 7, "y": 1,', "check dashboard"),
    Fault("an alarm on a metric that nobody emits", "ops", "  DestinationDown:", "MetricName: headgate_destination_up", "MetricName: headgate_destinations_up", "check metrics"),
    Fault("an alarm on a percentile by another label than the gateway gives", "ops", "  Slow:", "Name: percentile", "Name: quantile", "check metrics"),
    Fault("an alarm by a dimension that its metric has not", "ops", "  Cpu:", "Name: ClusterName", "Name: Cluster", "check metrics"),
    Fault("an alarm's query by a label that its metric has not", "ops", "  RejectsByReason:", "environment, reason)", "environment, cause)", "check metrics"),
    Fault("a widget on a metric that nobody emits", "ops", "  Dashboard:", "headgate_streams", "headgate_open_streams", "check metrics"),
    Fault("the agent hands on a metric that the gateway has not", "gateway", "- Name: metrics", "headgate_events_settled_total", "headgate_events_decided_total", "check metrics"),
    Fault("the agent hands on a metric by a label that it has not", "gateway", "- Name: metrics", '[["environment", "refusal"]]', '[["environment", "reason"]]', "check metrics"),
    Fault("a filter looks for what the gateway never says", "gateway", "  DrainFailures:", "cut off at the end of the drain", "cut off at the end of a drain", "check metrics"),
    Fault("a stack reads what no stack writes", "gateway", "  StreamName:", "/headgate/prod/data/stream-name", "/headgate/prod/data/stream", "check wiring"),
    Fault("the script reads what the stack does not write", "loadtest", "", "/loadtest/security-group", "/loadtest/security-groups", "check wiring"),
    Fault("the load goes elsewhere than to the host that is one's own", "loadtest", "            - --i-own-this-target", "!Ref GatewayHost", "play.example.org", "check wiring"),
    Fault("a load tester gets its keys by another name", "loadtest", "          Secrets:", "Name: HEADGATE_API_KEY", "Name: HEADGATE_API_KEYS", "check wiring"),
    Fault("the load goes in clear", "loadtest", "            - --host", "!Sub https://", "!Sub http://", "check wiring"),
    Fault("a load tester keeps its result on no volume", "loadtest", "- Name: load-tester", "WorkingDirectory: /var/lib/headgate", "WorkingDirectory: /tmp", "check wiring"),
    Fault("a drain may take longer than the stop", "gateway", "", "Value: 55s", "Value: 59s", "check wiring"),
    Fault("a listener is on none of the container's ports", "gateway", "", "Value: 0.0.0.0:8080", "Value: 0.0.0.0:8081", "check wiring"),
    Fault("all clients together are one peer with a limit of its own", "gateway", "HEADGATE_REST__LISTEN", 'Value: "10000"', 'Value: "5000"', "check wiring"),
    Fault("a health check by a shell that the image has not", "gateway", "- Name: gateway", "Command: [CMD, /headgate, healthcheck]", 'Command: [CMD-SHELL, "/headgate healthcheck"]', "check wiring"),
    Fault("a health check that kills tasks whose destination is down", "gateway", "- Name: gateway", "[CMD, /headgate, healthcheck]", "[CMD, /headgate, healthcheck, --ready]", "check wiring"),
    Fault("the image's volume is not mounted", "gateway", "- Name: gateway", "ContainerPath: /var/lib/headgate", "ContainerPath: /var/lib/other", "check wiring"),
    Fault("a partition is not projected", "data", "  RawEvents:", "projection.day.type: integer", "projection.days.type: integer", "check wiring"),
    Fault("the two tables of events differ", "data", "  ProcessedEvents:", "Name: event_time_ms", "Name: event_time", "check wiring"),
    Fault("a function's variable is misspelt", "leaderboard", "  Consume:\n", "REMEMBER_HOURS:", "REMEMBERED_HOURS:", "check sample"),
    Fault("the reader is not told how many partitions there are", "leaderboard", "  Serve:\n", "          PARTITIONS: !Ref Partitions\n", "", "check sample"),
    Fault("a handler that is not there", "leaderboard", "  Consume:\n", "Handler: consume.handler", "Handler: consume.handle", "check sample"),
    Fault("an index without what is shown", "leaderboard", "          Projection:", "total, best, events]", "total, events]", "check sample"),
    Fault("an index by an attribute that no row has", "leaderboard", "  Players:", "- AttributeName: rank\n          AttributeType: S", "- AttributeName: ranks\n          AttributeType: S", "check sample"),
    Fault("rows forget before the stream does", "leaderboard", "  RememberHours:", "Default: 96", "Default: 24", "check sample"),
    Fault("another type of event than the lake's query asks for", "leaderboard", "  EventType:", "Default: match_end", "Default: match_over", "check sample"),
    Fault("an alarm that the page for operators does not know", "ops", "  Unanswered:", "${Environment}-unanswered", "${Environment}-not-answered", "check wiring"),
    # The pipelines.
    Fault("a role of a stack without bounds", "streaming", "  TransformRole:", "      PermissionsBoundary: !If [Bounded, !Ref PermissionsBoundary, !Ref AWS::NoValue]\n", "", "rule roles_of_stacks_can_be_bounded"),
    Fault("an action of a pipeline has an artifact that nobody makes", "shared", "        - Name: Dev\n", "InputArtifacts: [{Name: Package}]", "InputArtifacts: [{Name: Packages}]", "lint E3701"),
    Fault("an action of a build that does not exist", "shared", "  PromoteRole:", "ecr:PutImage", "ecr:PutImages", "lint W3037"),
    Fault("artifacts that other accounts can't read", "shared", "  Pipeline:", "        EncryptionKey:\n          Type: KMS\n          Id: !GetAtt Key.Arn\n", "", "rule artifacts_of_pipelines_are_encrypted"),
    Fault("production that stays as it failed", "shared", "        - Name: Prod\n", "Result: ROLLBACK", "Result: RETRY", "rule production_takes_itself_back"),
    Fault("a tag that can be moved", "shared", "  GatewayRepository:", "ImageTagMutability: IMMUTABLE", "ImageTagMutability: MUTABLE", "rule images_are_never_moved"),
    Fault("other accounts push images", "shared", "  GatewayRepository:", "ecr:BatchGetImage", "ecr:PutImage", "rule images_are_never_moved"),
    Fault("all of another account may use the key", "shared", "          - Sid: TargetAccounts", "ArnEquals:", "ArnNotEquals:", "rule keys_let_in_roles_by_name"),
    Fault("settings that are not encrypted with our key", "shared", "  ProdSettings:", "      KmsKeyId: !GetAtt Key.Arn\n", "", "rule secrets_are_encrypted_with_our_key"),
    Fault("a build without a log", "shared", "  Promote:\n", "Status: ENABLED", "Status: DISABLED", "rule builds_end_and_are_logged"),
    Fault("a token in a build's environment", "branches", "  Promote:\n", "- Name: DEV_ACCOUNT", "- Name: ADMIN_TOKEN", "rule builds_have_no_secrets_in_the_environment"),
    Fault("all of another account may take a role", "target", "  DeployRole:", "ArnEquals:\n                aws:PrincipalArn:", "ArnEquals:\n                aws:PrincipalTag:", "rule roles_trust_only_this_account"),
    Fault("people take roles without a second factor", "people", "  AuditorRole:", 'aws:MultiFactorAuthPresent: "true"', 'aws:MultiFactorAuthPresent: "false"', "rule roles_trust_only_this_account"),
    Fault("groups take roles without a second factor", "people", "  Developers:", 'aws:MultiFactorAuthPresent: "true"', 'aws:MultiFactorAuthAge: "true"', "rule people_take_roles_with_a_second_factor"),
    Fault("a policy that allows something to everything", "people", "  WorkInDev:", "- !Sub arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:headgate-*", '- "*"', "rule managed_policies_name_what_they_allow"),
    Fault("AWS's administrators", "people", "  AuditorRole:", "- !Ref Audit\n", "- !Sub arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess\n", "rule managed_policies_are_the_ones_aws_asks_for"),
    Fault("images go with the stack", "shared", "  AgentRepository:", "DeletionPolicy: Retain", "DeletionPolicy: Delete", "rule data_outlives_its_stack"),
    Fault("a stage takes a role that no account has", "shared", "        - Name: Prod\n", "role/headgate-deploy\n", "role/headgate-deployer\n", "check pipeline"),
    Fault("production's stage deploys in the account for development", "shared", "        - Name: Prod\n", "RoleArn: !Sub arn:${AWS::Partition}:iam::${ProdAccount}", "RoleArn: !Sub arn:${AWS::Partition}:iam::${DevAccount}", "check pipeline"),
    Fault("a target account trusts another pipeline", "target", "  DeployRole:", "role/headgate-pipeline\n", "role/headgate-pipelines\n", "check pipeline"),
    Fault("a target account trusts another account", "target", "  PromoteRole:", "AWS: !Sub arn:${AWS::Partition}:iam::${SharedAccount}:root", "AWS: !Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:root", "check pipeline"),
    Fault("production trusts what branches run", "target", "  DeployRole:", "- !If\n                    - Branches\n                    - !Sub arn:${AWS::Partition}:iam::${SharedAccount}:role/headgate-branch-pipeline\n                    - !Ref AWS::NoValue\n", "- !Sub arn:${AWS::Partition}:iam::${SharedAccount}:role/headgate-branch-pipeline\n", "check pipeline"),
    Fault("a build may push to the repository", "shared", "  BuildRole:", "codeconnections:ProviderPermissionsRequired: read_only", "codeconnections:ProviderPermissionsRequired: read_write", "check pipeline"),
    Fault("a branch pushes images where stages pull from", "branches", "  PackageRole:", "- !GetAtt GatewayRepository.Arn", "- !Sub arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/headgate/gateway", "check pipeline"),
    Fault("branches have no place for an image", "branches", "", "RepositoryName: headgate-branches/loadtest", "RepositoryName: headgate-branches/load", "check pipeline"),
    Fault("the key lets in one role more", "shared", "          - Sid: TargetAccounts", "role/headgate-cloudformation\n", "role/headgate-cloudformation\n                  - !Sub arn:${AWS::Partition}:iam::${DevAccount}:role/headgate-branch\n", "check pipeline"),
    Fault("the key lets one role not in", "shared", "          - Sid: TargetAccounts", "                  - !Sub arn:${AWS::Partition}:iam::${ProdAccount}:role/headgate-deploy\n", "", "check pipeline"),
    Fault("production reads what branches make", "shared", "          - Sid: Branches", "${DevAccount}:root", "${ProdAccount}:root", "check pipeline"),
    Fault("production without approval", "shared", "        - Name: Approval\n", "Category: Approval, Owner: AWS, Provider: Manual", "Category: Invoke, Owner: AWS, Provider: Lambda", "check pipeline"),
    Fault("a stack before what it needs", "shared", "            - Name: data-changes\n", "RunOrder: 4", "RunOrder: 12", "check pipeline"),
    Fault("no smoke test after the last stack", "shared", "        - Name: Prod\n", "Name: smoke-test\n              RunOrder: 14", "Name: smoke-test\n              RunOrder: 1", "check pipeline"),
    Fault("a template that is not packaged", "shared", "        - Name: Dev\n", "Package::templates/ops.yaml", "Package::templates/operations.yaml", "check pipeline"),
    Fault("a configuration of another stage", "shared", "        - Name: Prod\n", "Package::configuration/prod/gateway.json", "Package::configuration/dev/gateway.json", "check pipeline"),
    Fault("commands that are in no file", "shared", "  SmokeTest:\n", "buildspecs/smoke-test.yml", "buildspecs/smoketest.yml", "check pipeline"),
    Fault("a command uses what nobody sets", "branches", "  Sweep:\n", "Name: IDLE_DAYS", "Name: DAYS_IDLE", "check pipeline"),
    Fault("an action uses what no build exports", "shared", "        - Name: Approval\n", "#{Changes.SUMMARY}", "#{Changes.SUMMARIES}", "check pipeline"),
    Fault("stacks of branches are called alike", "branches", "        - Name: Deploy\n", "headgate-#{Package.ENVIRONMENT}-data", "headgate-branch-data", "check pipeline"),
    Fault("a project may not report", "shared", "  SmokeTestRole:", "report-group/headgate-smoke-test-*", "report-group/headgate-smoke-tests-*", "check pipeline"),
    Fault("a step's bucket is called otherwise", "target", "  Artifacts:\n", "headgate-artifacts-", "headgate-artefacts-", "check pipeline"),
    Fault("a stage without settings", "shared", "  BranchSettings:", "Name: headgate/branch", "Name: headgate/branches", "check pipeline"),
    Fault("branches.yaml reads what shared.yaml does not write", "branches", "  KeyArn:", "/headgate/pipeline/shared/key-arn", "/headgate/pipeline/shared/key", "check pipeline"),
    Fault("CloudFormation may not do what a type needs", "target", "  CloudFormationData:", "kinesis:UpdateShardCount, ", "", "check pipeline"),
    Fault("CloudFormation makes roles without bounds", "target", "  CloudFormationRoles:", "iam:PermissionsBoundary: !Ref Boundary", "iam:PermissionsBoundary: !Ref SharedAccount", "check pipeline"),
    Fault("a role needs more than its bounds", "target", "  Boundary:", "kinesis:PutRecords, ", "", "check pipeline"),
    Fault("CloudFormation could change the roles of the pipeline", "target", "  SmokeTestRole:", "RoleName: headgate-smoke-test", "RoleName: headgate-smoke-test-role", "check pipeline"),
    Fault("a stack retains what a sweep does not know", "ops", "  Topic:\n    Type: AWS::SNS::Topic\n", "    Properties:", "    DeletionPolicy: Retain\n    Properties:", "check pipeline"),
    Fault("the stack for a new account needs a bucket", "shared", "", "Resources:\n", "Resources:\n" + "  # padding\n" * 500, "check pipeline"),
    Fault("the smoke test reads what no stack writes", "gateway", "  AdminTokenParameter:", "gateway/admin-token-secret", "gateway/admin-secret", "check wiring"),
]

CHECKS = {"dashboard": dashboard.problems, "metrics": metrics.problems, "pipeline": pipeline.problems, "sample": leaderboard.problems, "wiring": wiring.problems}


def faulty(fault, text):
    """The template with the fault in it."""
    start = text.index(fault.after)
    at = text.index(fault.old, start)
    return text[:at] + fault.new + text[at + len(fault.old) :]


def caught(fault, text):
    """None if the checker catches it, else what it said."""
    tool, _, name = fault.by.partition(" ")
    broken = faulty(fault, text)
    if tool == "lint":
        findings = lint.findings(broken, regions=lint.REGIONS[:1])
        return None if any(re.search(rf": ({name}) ", finding) for finding in findings) else findings
    if tool == "rule":
        rules = guard.broken_rules({fault.stack: broken}).get(fault.stack, [])
        return None if name in rules else rules
    before, _ = CHECKS[name](shipped())
    found, _ = CHECKS[name](shipped({fault.stack: broken}))
    return None if set(found) - set(before) else found


def problems(stacks):
    texts = {name: stack.text for name, stack in stacks.items()}
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as pool:
        said = list(pool.map(caught, FAULTS, [texts[fault.stack] for fault in FAULTS]))
    missed = [f"{fault.what} ({fault.stack}.yaml): {fault.by} missed it and said {each}" for fault, each in zip(FAULTS, said) if each is not None]
    return missed, f"{len(FAULTS) - len(missed)} of {len(FAULTS)}"
