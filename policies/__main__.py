"""The policy pack: started by ``pulumi preview --policy-pack policies`` and by the workbench alike."""

from pulumi_policy import PolicyPack

from controls import CATALOGUE
from machinery.pack import policies

PolicyPack(
    name="secure-ml-platform",
    description="What must hold for a platform that runs machine learning on sensitive data in AWS.",
    policies=policies(CATALOGUE),
)
