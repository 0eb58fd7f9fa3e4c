"""Every control says which frameworks ask for the same, in their own numbering."""

from __future__ import annotations

from controls import CATALOGUE
from machinery.control import FRAMEWORKS
from tests.policies.frameworks import FORMS


def test_every_control_has_references() -> None:
    silent = [c.id for c in CATALOGUE if not any(getattr(c.references, name) for name in FRAMEWORKS)]
    assert silent == []


def test_every_reference_is_numbered_as_its_framework_numbers() -> None:
    assert set(FORMS) == set(FRAMEWORKS)
    wrong = [
        f"{control.id}: {name} {reference}"
        for control in CATALOGUE
        for name, form in FORMS.items()
        for reference in getattr(control.references, name)
        if not form.fullmatch(reference)
    ]
    assert wrong == []


def test_no_reference_stands_twice() -> None:
    for control in CATALOGUE:
        for name in FRAMEWORKS:
            references = getattr(control.references, name)
            assert len(references) == len(set(references)), control.id


def test_machine_learning_refers_to_its_own_frameworks() -> None:
    family = [control for control in CATALOGUE if control.family == "MLS"]
    assert len(family) >= 11
    assert [control.id for control in family if not control.references.atlas] == []
