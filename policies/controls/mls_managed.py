"""MLS: machine learning that AWS manages: notebooks and domains of SageMaker, its models and endpoints."""

from __future__ import annotations

from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.subject import Outcomes, Resource
from machinery.workloads import MODEL

catalogue = Catalogue()

NOTEBOOK = "aws:sagemaker/notebookInstance:NotebookInstance"
DOMAIN = "aws:sagemaker/domain:Domain"
ENDPOINT_CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"


@catalogue.resource(
    "MLS-13",
    "Notebooks reach the internet through the VPC alone, and nobody is root in them",
    severity=HIGH,
    on=(NOTEBOOK, DOMAIN),
    remedy="Give the notebook a subnet, set direct_internet_access and root_access to Disabled; set a domain's app_network_access_type to VpcOnly.",
    references=References(
        fsbp=["SageMaker.1", "SageMaker.2", "SageMaker.3"],
        nist=["SC-7", "AC-6"],
        pci=["1.3.1"],
        atlas=["AML.M0019", "AML.T0025"],
        aws_ai=["AISF-ML-02"],
    ),
)
def notebooks_stay_inside(place: Resource) -> Outcomes:
    # All three defaults of AWS are the open ones (SageMaker API Reference, "CreateNotebookInstance", "CreateDomain").
    if place.type == DOMAIN:
        if place.switch("appNetworkAccessType", absent="PublicInternetOnly") != "VpcOnly":
            yield place.violation("appNetworkAccessType", "lets apps reach the internet past the VPC")
        return
    if place.switch("directInternetAccess", absent="Enabled") != "Disabled":
        yield place.violation("directInternetAccess", "lets the notebook reach the internet past the VPC")
    if not place.has("subnetId"):
        yield place.violation("subnetId", "is missing, so the notebook is in a network of AWS's")
    if place.switch("rootAccess", absent="Enabled") != "Disabled":
        yield place.violation("rootAccess", "makes whoever works there root")


@catalogue.resource(
    "MLS-14",
    "Models of SageMaker call nobody, stand in a VPC, and answer from encrypted disks",
    severity=MEDIUM,
    on=(MODEL, ENDPOINT_CONFIGURATION),
    remedy="Set enable_network_isolation to True and vpc_config on the model, and kms_key_arn on the endpoint's configuration.",
    references=References(
        fsbp=["SageMaker.5"],
        nist=["SC-7", "SC-28(1)"],
        pci=["1.3.2"],
        atlas=["AML.M0019", "AML.M0012"],
        owasp_ml=["ML06"],
        aws_ai=["AISF-ML-01"],
    ),
)
def managed_models_call_nobody(made: Resource) -> Outcomes:
    if made.type == ENDPOINT_CONFIGURATION:
        if not made.has("kmsKeyArn"):
            yield made.violation("kmsKeyArn", "is missing, so AWS's own key is used")
        return
    if made.switch("enableNetworkIsolation", absent=False) is not True:
        yield made.violation("enableNetworkIsolation", "is off, so code that came with a model may call out")
    if not made.has("vpcConfig"):
        yield made.violation("vpcConfig", "is missing, so the model is in a network of AWS's")
