"""EDG: what is behind and around the load balancer, and other ways in that have no edge."""

from __future__ import annotations

from controls.net import LOAD_BALANCERS
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.subject import Outcomes, Resource

catalogue = Catalogue()

TARGET_GROUPS = ("aws:lb/targetGroup:TargetGroup", "aws:alb/targetGroup:TargetGroup")
HTTP_API = "aws:apigatewayv2/api:Api"
ROUTE = "aws:apigatewayv2/route:Route"


@catalogue.resource(
    "EDG-10",
    "Requests go on under TLS behind the load balancer, and so do questions about health",
    severity=HIGH,
    on=TARGET_GROUPS,
    remedy="Set protocol HTTPS, and protocol HTTPS in health_check.",
    references=References(nist=["SC-8"], hipaa=["164.312(e)(1)"], pci=["4.2.1"]),
)
def targets_speak_tls(group: Resource) -> Outcomes:
    if group.switch("targetType", absent="instance") == "lambda":
        return
    if group.switch("protocol") == "HTTP":
        yield group.violation("protocol", "is HTTP, so requests go on in clear")
    if group.switch("healthCheck.protocol", absent="HTTPS") == "HTTP":
        yield group.violation("healthCheck.protocol", "is HTTP, so anything may answer for the target")


@catalogue.resource(
    "EDG-11",
    "Load balancers are not deleted by a slip, fail closed, and write down who connected",
    severity=MEDIUM,
    on=LOAD_BALANCERS,
    remedy="Set enable_deletion_protection, in dev as well, and connection_logs; leave enable_waf_fail_open False.",
    references=References(fsbp=["ELB.6"], nist=["SC-24", "AU-12"]),
)
def load_balancers_fail_closed(balancer: Resource) -> Outcomes:
    if not balancer.switch("enableDeletionProtection", absent=False):
        yield balancer.violation("enableDeletionProtection", "is off")
    if balancer.switch("loadBalancerType", absent="application") != "application":
        return
    if balancer.switch("enableWafFailOpen", absent=False):
        yield balancer.violation("enableWafFailOpen", "lets everything in when the web ACL does not answer")
    if not balancer.switch("connectionLogs.enabled", absent=False):
        yield balancer.violation("connectionLogs", "are off, so nobody sees whose TLS failed")


@catalogue.resource(
    "EDG-12",
    "An HTTP API asks every caller who it is",
    severity=HIGH,
    on=(HTTP_API, ROUTE),
    remedy="Leave target out of the API, and give each route an authorization_type: JWT, AWS_IAM or CUSTOM.",
    references=References(fsbp=["APIGateway.8"], nist=["AC-3", "IA-2"], atlas=["AML.M0019"]),
)
def apis_ask_who_calls(part: Resource) -> Outcomes:
    if part.type == HTTP_API and part.has("target"):
        yield part.violation("target", "makes a route that asks nobody who calls")
    if part.type == ROUTE and part.switch("authorizationType", absent="NONE") == "NONE":
        yield part.violation("authorizationType", "is NONE, so anybody may call")
