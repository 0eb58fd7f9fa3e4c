"""NET: what may reach what."""

from __future__ import annotations

from machinery.control import HIGH, Catalogue, References
from machinery.subject import Outcomes, Resource

catalogue = Catalogue()


@catalogue.resource(
    "NET-05",
    "A subnet gives no public addresses on launch",
    severity=HIGH,
    on="aws:ec2/subnet:Subnet",
    remedy="Set map_public_ip_on_launch to False; what must be public gets an Elastic IP of its own.",
    references=References(fsbp=["EC2.15"]),
)
def subnet_gives_no_public_addresses(subnet: Resource) -> Outcomes:
    if subnet.switch("mapPublicIpOnLaunch", absent=False):
        yield subnet.violation("mapPublicIpOnLaunch", "gives a public address to whatever starts here")
