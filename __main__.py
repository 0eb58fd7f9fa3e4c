"""The Pulumi program: settings in, platform out."""

from stacks.platform import build
from stacks.reading import load

build(load())
