"""What no preview decides, whatever AWS answers: the program does not hold it."""

from __future__ import annotations

NOT_IN_ANY_GRAPH = {
    "EKS-09",  # the images of what a Helm chart makes
    "EKS-26",  # who may take the role that deploys, which is another stack's
}
