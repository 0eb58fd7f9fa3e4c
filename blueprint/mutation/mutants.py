"""Every mutant of an environment's graph, in an order that is the same at every run."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.graph import Graph
from blueprint.mutation.families import home
from blueprint.mutation.mutant import Mutant, Scene
from blueprint.mutation.operators import OPERATORS


def mutants(environment: str, graph: Graph) -> Iterator[Mutant]:
    """Yield every edit of every operator, each place and edit once."""
    scene = Scene(graph)
    seen: set[str] = set()
    for resource in graph.resources:
        for operator in OPERATORS:
            for edit in operator.find(scene, resource):
                mutant = Mutant(
                    environment=environment,
                    operator=operator.name,
                    subject=resource,
                    edit=edit,
                    families=operator.families.union(
                        home(resource.type), *(home(changed.type) for changed in edit.changed)
                    ),
                )
                if mutant.key not in seen:
                    seen.add(mutant.key)
                    yield mutant
