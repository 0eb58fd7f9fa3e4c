"""The policy pack: started by ``pulumi preview --policy-pack policies`` and by the workbench alike."""

from pathlib import Path

from pulumi_policy import PolicyPack

from controls import CATALOGUE
from machinery.description import readme
from machinery.pack import policies
from machinery.waiver_file import read
from machinery.waivers import WAIVER_CONTROLS

# Beside the pack and not where the engine is started: waivers are reviewed with the pack that they weaken.
STACKS = Path(__file__).resolve().parent.parent / "stacks"

PolicyPack(
    name="secure-ml-platform",
    description="What must hold for a platform that runs machine learning on sensitive data in AWS.",
    readme=readme((*CATALOGUE, *WAIVER_CONTROLS)),
    policies=policies(CATALOGUE, read(STACKS, CATALOGUE)),
)
