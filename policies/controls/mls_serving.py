"""MLS: what answers with a model asks who is there, gives each a budget, and writes down that they asked, not what."""

from __future__ import annotations

import re
from collections.abc import Iterator

from controls.edg import ASSOCIATION as WEB_ACL_ASSOCIATION
from controls.edg import LISTENERS, LOAD_BALANCERS, WEB_ACL, is_public, rate_limits
from machinery.authority import authority
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.database_ways import ways_to_databases
from machinery.learning import aggregates, meant, serves
from machinery.manifests import Manifest, mapping, objects
from machinery.stack import Stack
from machinery.subject import Outcome, Outcomes, Resource, Undecided, UnknownReference, Violation
from machinery.workloads import MODEL, TASK, TASK_SERVICE, Workload, each_workload, roles

catalogue = Catalogue()

TABLE = "aws:dynamodb/table:Table"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
TARGET_GROUPS = ("aws:lb/targetGroup:TargetGroup", "aws:alb/targetGroup:TargetGroup")
RULES = ("aws:lb/listenerRule:ListenerRule", "aws:alb/listenerRule:ListenerRule")
USAGE_PLAN = "aws:apigateway/usagePlan:UsagePlan"
ENDPOINT_CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"

# --- MLS-05: budgets -------------------------------------------------------------------------------------

_BUDGET = re.compile(r"(?:\w+_)??(?:BUDGETS?|QUOTAS?|RATE_LIMITS?|MAX_QUERIES|QUERY_LIMITS?)(?:_[A-Z0-9_]+)?")


@catalogue.stack(
    "MLS-05",
    "Inference answers each client so many times and no more, behind a web ACL that limits rates",
    severity=HIGH,
    remedy="Tell the server where budgets are kept (BUDGET_TABLE, say), and put a web ACL with a blocking rate rule before its load balancer.",
    references=References(
        nist=["SC-5"],
        atlas=["AML.M0004", "AML.T0024", "AML.T0034.000"],
        owasp_ml=["ML03", "ML05"],
        fsbp=["ELB.16"],
    ),
)
def inference_has_a_budget(stack: Stack) -> Outcomes:
    return each_workload(stack, serves, lambda workload: _is_bounded(workload, stack))


def _is_bounded(workload: Workload, stack: Stack) -> Outcomes:
    told = workload.told(_BUDGET)
    if any(variable.off for variable in told):
        yield workload.violation("", "gives every client as many answers as it wants")
    if not told and not any(_limits_clients(plan) for plan in stack.of(USAGE_PLAN)):
        yield workload.lacks("", "has no budget of queries, so whoever asks long enough has the model")
    for balancer in entrances(workload, stack):
        if is_public(balancer):
            yield from _limits_rates(balancer, stack)


def _limits_clients(plan: Resource) -> bool:
    return plan.number("quotaSettings.limit") > 0


def entrances(workload: Workload, stack: Stack) -> Iterator[Resource]:
    """Yield the load balancers that lead to a workload.

    Raises:
        UnknownReference: something leads to it from a target group that is not in the graph.
    """
    for group in _target_groups(workload, stack):
        for type_ in (*LISTENERS, *RULES):
            path = "defaultActions" if type_ in LISTENERS else "actions"
            for listener in stack.referrers(group, path, type_):
                yield from _balancers(listener, stack)


def _balancers(listener: Resource, stack: Stack) -> list[Resource]:
    if listener.type in RULES:
        listeners = stack.targets(listener, "listenerArn", *LISTENERS)
        return [balancer for each in listeners for balancer in _balancers(each, stack)]
    return stack.targets(listener, "loadBalancerArn", *LOAD_BALANCERS)


def _target_groups(workload: Workload, stack: Stack) -> Iterator[Resource]:
    if workload.resource.type == TASK:
        for service in stack.referrers(workload.resource, "taskDefinition", TASK_SERVICE):
            yield from _named(service, "loadBalancers", stack)
    elif workload.pod is not None:
        for binding in _bindings(workload, stack):
            yield from _named(binding, "spec", stack)


def _named(resource: Resource, path: str, stack: Stack) -> list[Resource]:
    groups = stack.targets(resource, path, *TARGET_GROUPS)
    if not groups and resource.has(path):
        raise UnknownReference(f"what {path} of another stack leads to")
    return groups


def _bindings(workload: Workload, stack: Stack) -> Iterator[Manifest]:
    """Yield what binds a service in front of a workload's pods to a target group (AWS Load Balancer Controller)."""
    made = objects(stack)
    place = made.place(workload.resource) if isinstance(workload.resource, Manifest) else None
    for binding in made.of("TargetGroupBinding", groups=("elbv2.k8s.aws",)):
        if place is None or made.place(binding) != place:
            continue
        name = str(binding.reference("spec.serviceRef.name", absent=""))
        if any(_selects(service, workload) for service in made.named("Service", place, name)):
            yield binding


def _selects(service: Manifest, workload: Workload) -> bool:
    selector = mapping(service, "spec.selector")
    return bool(selector) and all(workload.labels.get(key) == value for key, value in selector.items())


def _limits_rates(balancer: Resource, stack: Stack) -> Iterator[Outcome]:
    associations = stack.referrers(balancer, "resourceArn", WEB_ACL_ASSOCIATION)
    acls = [acl for each in associations for acl in stack.targets(each, "webAclArn", WEB_ACL)]
    if associations and not acls:
        yield Undecided("what a web ACL of another stack limits", urn=balancer.urn)
    elif not any(rate_limits(acl) for acl in acls):
        yield Violation("", "leads to a model and has no web ACL that limits rates", urn=balancer.urn)


# --- MLS-06: the log of queries --------------------------------------------------------------------------

_QUERY_LOG = re.compile(
    r"(?:\w+_)??(?:QUERY|QUERIES|REQUESTS?|INFERENCE|PREDICTIONS?|ACCESS|AUDIT)_LOGS?(?:_[A-Z0-9_]+)?"
)
_RAW = re.compile(
    r"(?:\w+_)??LOG_(?:RAW_)?(?:INPUTS?|PAYLOADS?|BOD(?:Y|IES)|REQUEST_BOD(?:Y|IES)|PROMPTS?|FEATURES?|IMAGES?|RAW|QUERIES_RAW)"
    r"|(?:\w+_)??(?:RAW_INPUTS?|PAYLOADS?|PROMPTS?)_LOG(?:S|GING|GED)?(?:_ENABLED)?",
    re.IGNORECASE,
)
_RAW_FLAG = re.compile(
    r"--(?:enable-)?log-(?:raw-)?(?:requests|inputs|payloads|prompts|bodies|features)", re.IGNORECASE
)
_ERASES = (
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "logs:PutRetentionPolicy",
    "logs:DeleteRetentionPolicy",
)


@catalogue.stack(
    "MLS-06",
    "Who asked a model is written down and kept, what they asked is not",
    severity=HIGH,
    remedy="Tell the server a log group with a retention (QUERY_LOG_GROUP, say), which it may only add to; log digests of inputs, never inputs.",
    references=References(
        nist=["AU-3", "AU-12", "SI-12"],
        hipaa=["164.312(b)"],
        pci=["10.2.1"],
        atlas=["AML.M0024"],
        owasp_ml=["ML03", "ML05"],
        aws_ai=["AISF-AI-05"],
    ),
)
def queries_are_logged_without_inputs(stack: Stack) -> Outcomes:
    yield from each_workload(stack, serves, lambda workload: _logs_queries(workload, stack))
    for configuration in stack.of(ENDPOINT_CONFIGURATION):
        if configuration.switch("dataCaptureConfig.enableCapture", absent=False):
            modes = [o.switch("captureMode") for o in configuration.items("dataCaptureConfig.captureOptions")]
            if any(mode != "Output" for mode in modes):
                yield Violation("dataCaptureConfig", "keeps what clients ask", urn=configuration.urn)


def _logs_queries(workload: Workload, stack: Stack) -> Outcomes:
    for variable in workload.told(_RAW):
        if not variable.off:
            yield workload.violation("", "writes down what clients ask, as it came")
    flag = workload.after(_RAW_FLAG).lower()
    if workload.says(_RAW_FLAG) and flag not in ("false", "0", "no", "off"):
        yield workload.violation("", "writes down what clients ask, as it came")
    if workload.pod is not None and _keeps_payloads(workload.pod.manifest):
        yield workload.violation("", "sends what clients ask to a logger, as it came")
    if workload.resource.type == MODEL:
        # The caller of a SageMaker endpoint is in the trail; there is no log of the server's own to name.
        return
    told = [variable for variable in workload.told(_QUERY_LOG) if not variable.off]
    if not told:
        yield workload.lacks("", "writes down nowhere who asked")
    groups = [group for variable in told for group in meant(variable, workload, stack, LOG_GROUP)]
    if told and not groups:
        yield Undecided("how long a log of another stack is kept", urn=workload.resource.urn)
    floor = stack.declared.floors.log_retention_days
    for group in groups:
        if group.number("retentionInDays") < floor:
            yield Violation("retentionInDays", f"keeps who asked for less than {floor} days", urn=group.urn)
    for role in roles(workload, stack):
        for right in authority(stack).rights(role):
            if right.allows(*_ERASES):
                yield Violation(
                    right.statement.path, "lets a server of models erase who asked it", urn=right.urn
                )


def _keeps_payloads(manifest: Manifest) -> bool:
    """Say whether KServe sends requests to a logger (KServe, "Inference Logger")."""
    if manifest.group != "serving.kserve.io":
        return False
    return manifest.switch("spec.predictor.logger.mode", absent="response") in ("all", "request")


# --- MLS-11, MLS-12: whom it knows -----------------------------------------------------------------------


def _answers_strangers(workload: Workload) -> bool:
    return serves(workload) or aggregates(workload)


@catalogue.stack(
    "MLS-11",
    "What serves models or puts together those of others has no way to the database",
    severity=MEDIUM,
    remedy="Take database variables, secrets, groups and roles off the server and the aggregator; let their network policies leave out the database's port.",
    references=References(
        nist=["AC-4", "SC-7"],
        hipaa=["164.312(a)(1)"],
        atlas=["AML.M0005", "AML.M0019"],
        owasp_ml=["ML03", "ML04"],
    ),
)
def servers_have_no_way_to_the_database(stack: Stack) -> Outcomes:
    return each_workload(
        stack,
        _answers_strangers,
        lambda workload: (
            ways_to_databases(stack, workload.pod, "what answers strangers") if workload.pod else ()
        ),
    )


_CALLERS = re.compile(
    r"(?:\w+_)??(?:ISSUERS?|JWKS|AUDIENCES?|OIDC|OAUTH2?|AUTH|AUTHN|AUTHENTICATION|CLIENT_CA|CLIENT_CERT|MTLS)(?:_[A-Z0-9_]+)?"
)
_NOBODY_ASKS = re.compile(
    r"(?:\w+_)??(?:DISABLE|SKIP|NO)_AUTH(?:_[A-Z0-9_]+)?|(?:\w+_)??(?:AUTH_DISABLED|AUTH_OPTIONAL|ALLOW_ANONYMOUS)"
)
_CALLERS_FLAG = re.compile(
    r"--(?:api-key\S*|auth\S*|oidc\S*|jwks\S*|client-ca\S*|tls-client-ca\S*|ssl-ca-certs?)", re.IGNORECASE
)
_SIGNS_IN = ("authenticate-oidc", "authenticate-cognito", "jwt-validation")


@catalogue.stack(
    "MLS-12",
    "Inference asks who is calling",
    severity=HIGH,
    remedy="Tell the server whose tokens count (CALLER_ISSUER and CALLER_AUDIENCE, say), or let the load balancer sign people in before it forwards.",
    references=References(
        nist=["AC-3", "IA-2", "IA-9"],
        hipaa=["164.312(d)"],
        atlas=["AML.M0019"],
        owasp_ml=["ML03", "ML05"],
        aws_ai=["AISF-IAM-08"],
        ml_lens=["MLSEC-12"],
    ),
)
def inference_asks_who_calls(stack: Stack) -> Outcomes:
    return each_workload(stack, serves, lambda workload: _knows_callers(workload, stack))


def _knows_callers(workload: Workload, stack: Stack) -> Outcomes:
    # SageMaker takes requests that are signed for IAM, and no others; of functions, EDG-09 speaks.
    if workload.pod is None and workload.resource.type != TASK:
        return
    told = workload.told(_CALLERS)
    asks_nobody = any(not variable.off for variable in workload.told(_NOBODY_ASKS))
    if asks_nobody or any(v.off for v in told if not _NOBODY_ASKS.fullmatch(v.name)):
        yield workload.violation("", "is told not to ask who calls")
    elif not told and not workload.says(_CALLERS_FLAG) and not _signed_in_before(workload, stack):
        yield workload.lacks("", "is told nothing by which it could know its callers")


def _signed_in_before(workload: Workload, stack: Stack) -> bool:
    """Say whether every load balancer in front asks who is there before it forwards."""
    balancers = list(entrances(workload, stack))
    listeners = [
        listener
        for balancer in balancers
        for listener in stack.referrers(balancer, "loadBalancerArn", *LISTENERS)
    ]
    forwarding = [each for each in listeners if _forwards(each)]
    return bool(forwarding) and all(_asks(listener) for listener in forwarding)


def _forwards(listener: Resource) -> bool:
    return any(action.switch("type") == "forward" for action in listener.items("defaultActions"))


def _asks(listener: Resource) -> bool:
    return any(action.switch("type") in _SIGNS_IN for action in listener.items("defaultActions"))
