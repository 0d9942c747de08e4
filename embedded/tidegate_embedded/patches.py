"""Every private part of ministack and moto that is replaced while the embedded AWS runs.

Names without a promise: they hold for the versions below, and an upgrade begins here. Each entry
has a test that fails without it. Nothing else can be replaced: ``Patches`` looks here first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VERSIONS: Final = {"ministack": "1.5.33", "moto": "5.2.5"}


@dataclass(frozen=True, slots=True)
class Patch:
    """What is replaced, why, and the test below ``tests`` that fails without it."""

    module: str  # or a class, by its dotted name
    names: tuple[str, ...]
    why: str
    test: str


_SERVICES: Final = "ministack.services"
_CFN: Final = f"{_SERVICES}.cloudformation"
_ASL: Final = "moto.stepfunctions.parser.asl"
_STATES: Final = f"{_ASL}.component.state.exec"
_TASKS: Final = f"{_STATES}.state_task.service"
_LOCAL: Final = "contract/local"

PATCHES: Final = (
    Patch(
        f"{_CFN}.stacks",
        ("_runs_on_worker_thread",),
        "resource types of ours take their time, too",
        f"{_LOCAL}/test_cloudformation.py::test_a_registered_type_is_created_updated_and_deleted",
    ),
    Patch(
        f"{_CFN}.helpers",
        ("_resolve_document", "urlparse"),
        "template URLs name the bucket in the host, as AWS's own do",
        f"{_LOCAL}/test_s3.py::test_a_target_account_deploys_template_and_code_from_the_bucket",
    ),
    Patch(
        f"{_CFN}.changesets",
        ("validate_template_support", "_evaluate_conditions"),
        "what AWS refuses of a template is refused, in its words",
        f"{_LOCAL}/test_cloudformation.py::test_names_that_nothing_has_are_refused_before_anything_is_made",
    ),
    Patch(
        f"{_CFN}.handlers",
        ("validate_template_support", "_evaluate_conditions"),
        "and when a stack is made without a change set",
        f"{_LOCAL}/test_cloudformation.py::test_names_that_nothing_has_are_refused_before_anything_is_made",
    ),
    Patch(
        f"{_CFN}.provisioners",
        ("_S3_BUCKET_CONFIGURATIONS",),
        "templates set a bucket's encryption",
        f"{_LOCAL}/test_s3.py::test_a_template_sets_the_default_encryption_of_a_bucket",
    ),
    Patch(
        f"{_CFN}.provisioners",
        ("_cw_metric_alarm_record",),
        "templates have alarms on metric math",
        f"{_LOCAL}/test_cloudwatch.py::test_a_template_may_have_an_alarm_on_metric_math",
    ),
    Patch(
        f"{_SERVICES}.s3",
        ("_get_object_data",),
        "what a bucket's policy lets other accounts read is read",
        f"{_LOCAL}/test_s3.py::test_an_account_that_the_policy_does_not_name_cannot",
    ),
    Patch(
        f"{_SERVICES}.s3",
        ("_put_object", "_copy_object", "_complete_multipart_upload"),
        "writes that a policy denies are refused",
        "security/test_bytes_over_aws.py::test_the_bucket_lets_nobody_put_an_object_over_another",
    ),
    Patch(
        f"{_SERVICES}.s3",
        ("_verify_presigned_sigv4",),
        "who signs is checked at the door, for every service",
        "security/test_credentials.py::test_nobody_uses_an_address_for_other_than_it_was_made_for",
    ),
    Patch(
        "ministack.core.iam_evaluator",
        ("_request_origin",),
        "policies that demand TLS see it as there",
        "contract/aws/test_aws_artifacts.py::test_a_release_reads_what_the_build_stored",
    ),
    Patch(
        f"{_SERVICES}.eventbridge",
        ("_dispatch_event",),
        "an event for another account's bus says whose it is",
        f"{_LOCAL}/test_events.py::test_event_for_another_accounts_bus_arrives_there_and_says_whose_it_is",
    ),
    Patch(
        f"{_SERVICES}.eventbridge",
        ("_dispatch_to_event_bus",),
        "a rule sends events to buses of other accounts that let them in",
        f"{_LOCAL}/test_eventbridge.py::test_an_alarm_of_a_target_is_heard_by_the_controller",
    ),
    Patch(
        f"{_SERVICES}.eventbridge",
        ("_dispatch_to_stepfunctions",),
        "a rule starts executions of moto's interpreter",
        f"{_LOCAL}/test_stepfunctions_api.py::test_a_rule_can_start_a_state_machine",
    ),
    Patch(
        f"{_SERVICES}.eventbridge",
        ("_dispatch_to_lambda",),
        "a rule invokes functions that run here, and tries again",
        f"{_LOCAL}/test_lambdas_invocations.py::test_a_rules_failed_event_is_tried_again",
    ),
    Patch(
        f"{_SERVICES}.sns",
        ("_deliver_to_lambda",),
        "a topic does not wait for its functions",
        f"{_LOCAL}/test_lambdas_invocations.py::test_a_topic_does_not_wait_for_a_function_that_calls_aws",
    ),
    Patch(
        f"{_SERVICES}.cloudwatch",
        ("_get_metric_data", "_get_metric_statistics"),
        "percentiles, percentile ranks and metric math",
        f"{_LOCAL}/test_cloudwatch.py::test_evaluates_metric_math",
    ),
    Patch(
        f"{_SERVICES}.cloudwatch",
        ("_evaluate_alarm", "_evaluate_all_alarms", "_put_metric_alarm"),
        "alarms are evaluated as soon as they can be, on metric math, too",
        f"{_LOCAL}/test_cloudwatch.py::test_an_alarm_goes_off_as_soon_as_a_sum_is_over_its_threshold",
    ),
    Patch(
        f"{_SERVICES}.cloudwatch",
        ("_record_history",),
        "a change of an alarm is an event",
        f"{_LOCAL}/test_cloudwatch.py::test_a_change_is_an_event_with_what_and_why",
    ),
    Patch(
        f"{_SERVICES}.cloudwatch",
        ("_evict_old_metrics",),
        "a load test does not search all metrics at each value",
        f"{_LOCAL}/test_cloudwatch.py::test_a_histogram_over_a_load_test_goes_through_the_values_once",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        ("_execute_function", "_get_func_record_for_ref"),
        "functions run without containers, by the weights of their aliases",
        f"{_LOCAL}/test_lambdas_invocations.py::test_other_services_invoke_by_the_weights_of_an_alias",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        ("invoke_async_with_retry",),
        "asynchronous invocations are tried three times",
        f"{_LOCAL}/test_lambdas_invocations.py::test_a_failed_event_is_tried_three_times_and_goes_to_the_dead_letter_queue",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        ("_run_sqs_batch",),
        "a queue invokes by the weights of an alias",
        f"{_LOCAL}/test_lambdas_invocations.py::test_other_services_invoke_by_the_weights_of_an_alias",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        ("_emit_lambda_metrics",),
        "invocations are counted by version, and once",
        f"{_LOCAL}/test_lambdas_invocations.py::test_invocations_are_counted_under_each_set_of_dimensions",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        ("_create_alias", "_update_alias"),
        "aliases that AWS refuses are refused",
        f"{_LOCAL}/test_lambdas_aliases.py::test_refuses_an_alias_that_cannot_be",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        ("_get_policy", "_remove_permission"),
        "an alias has statements of its own",
        f"{_LOCAL}/test_lambdas_policies.py::test_each_answers_with_its_own_statements",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        ("_schedule_state_transition", "_snapstart_provision_version_async"),
        "a version becomes active in the embedded AWS's own time",
        f"{_LOCAL}/test_lambdas_provisioned.py::test_the_snapshot_of_a_version_takes_a_while",
    ),
    Patch(
        f"{_SERVICES}.lambda_svc",
        (
            "_put_provisioned_concurrency",
            "_get_provisioned_concurrency",
            "_delete_provisioned_concurrency",
        ),
        "provisioned concurrency takes time, has limits, and needs code that starts",
        f"{_LOCAL}/test_lambdas_provisioned.py::test_it_is_allocated_after_a_while",
    ),
    *(
        Patch(
            module,
            ("boto_client_for",),
            "what a state calls is called here, in the account of its execution",
            f"{_LOCAL}/test_stepfunctions_tasks.py::test_a_task_acts_in_the_account_of_its_execution",
        )
        for module in (
            f"{_ASL}.utils.boto_client",
            f"{_STATES}.state_map.item_reader.eval.resource_eval_s3",
            f"{_STATES}.state_map.result_writer.resource_eval.resource_eval_s3",
            f"{_STATES}.state_task.lambda_eval_utils",
            *(
                f"{_TASKS}.state_task_service_{service}"
                for service in (
                    *("aws_sdk", "batch", "dynamodb", "ecs", "events", "glue"),
                    *("sfn", "sns", "sqs", "unsupported"),
                )
            ),
        )
    ),
    Patch(
        f"{_STATES}.state_task.state_task.StateTask",
        ("_eval_state_credentials",),
        "a task with credentials acts in the account of their role",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_a_task_with_credentials_acts_in_the_account_of_their_role",
    ),
    Patch(
        f"{_STATES}.state_task.state_task.StateTask",
        ("_from_error",),
        "a timeout has its own name",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_a_timeout_is_not_a_failure_of_the_task",
    ),
    Patch(
        f"{_ASL}.eval.callback.callback.CallbackPoolManager",
        ("add",),
        "a task token is answered in any account's call",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_an_answer_ends_the_wait_at_once",
    ),
    Patch(
        f"{_ASL}.parse.preprocessor",
        ("from_string_literal",),
        "texts and keys are what they are, whatever signs they have",
        f"{_LOCAL}/test_stepfunctions.py::test_keeps_any_text_in_variables_and_literals",
    ),
    Patch(
        f"{_ASL}.parse.preprocessor.Preprocessor",
        ("_inner_string_of",),
        "and in every place of a definition",
        f"{_LOCAL}/test_stepfunctions.py::test_keeps_any_text_in_variables_and_literals",
    ),
    Patch(
        f"{_ASL}.component.common.string.string_expression.StringJSONata",
        ("_eval_body",),
        "JSONata is evaluated without a Java machine",
        f"{_LOCAL}/test_stepfunctions.py::test_evaluates_jsonata",
    ),
    Patch(
        f"{_TASKS}.state_task_service.StateTaskService",
        ("_normalise_parameters", "_normalise_response", "_SERVICE_NAME_SFN_TO_BOTO_OVERRIDES"),
        "arguments and answers are spelt as Step Functions spells them",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_calls_other_services_with_their_own_names",
    ),
    Patch(
        f"{_TASKS}.state_task_service_callback.StateTaskServiceCallback",
        ("_eval_execution",),
        "each attempt has a token of its own",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_each_attempt_has_a_token_of_its_own",
    ),
    Patch(
        f"{_TASKS}.state_task_service_callback.StateTaskServiceCallback",
        ("_eval_sync",),
        "waiting for a job ends when the job does",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_a_build_that_succeeds_is_the_result",
    ),
    Patch(
        f"{_TASKS}.state_task_service_callback.StateTaskServiceCallback",
        ("_eval_wait_for_task_token",),
        "heartbeats and the time limit both count",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_a_heartbeat_is_heard_and_its_absence_is_an_error",
    ),
    Patch(
        f"{_ASL}.eval.environment.Environment",
        ("set_ended", "set_error", "set_stop", "set_timed_out"),
        "the token of an execution that has ended is void",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_stopping_voids_the_token_that_it_waits_for",
    ),
    Patch(
        f"{_ASL}.component.common.error_name.error_equals_decl.ErrorEqualsDecl",
        ("_eval_body",),
        "States.ALL and States.TaskFailed stand for what AWS says",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_catches_the_errors_that_the_names_stand_for",
    ),
    Patch(
        f"{_TASKS}.state_task_service_lambda.StateTaskServiceLambda",
        ("_from_error",),
        "a function's exception is the name of the error",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_a_function_s_exception_is_the_name_of_the_error",
    ),
    Patch(
        f"{_TASKS}.state_task_service_aws_sdk.StateTaskServiceAwsSdk",
        ("_normalise_service_error_name",),
        "errors of services have the names of the Java SDK",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_errors_of_other_services_have_the_names_of_the_java_sdk",
    ),
    Patch(
        f"{_STATES}.state_map.iteration.distributed_iteration_component.DistributedIterationComponent",
        ("_map_run",),
        "a distributed map tolerates as many failures as it says",
        f"{_LOCAL}/test_stepfunctions.py::test_a_distributed_map_tolerates_as_many_failures_as_it_says",
    ),
    Patch(
        f"{_STATES}.state_task.state_task_factory",
        ("state_task_service_for",),
        "builds are jobs to wait for",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_stopping_an_execution_stops_its_build",
    ),
    Patch(
        f"{_TASKS}.state_task_service_sfn.StateTaskServiceSfn",
        ("_build_sync_resolver", "_build_sync2_resolver"),
        "nested executions are jobs to wait for, and their output is JSON",
        f"{_LOCAL}/test_stepfunctions_tasks.py::test_the_output_of_a_nested_execution_is_json",
    ),
)

KNOWN: Final = frozenset((patch.module, name) for patch in PATCHES for name in patch.names)
