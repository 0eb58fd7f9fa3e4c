"""What the template ships with as an example: no fork's own value may look like it."""

from __future__ import annotations

import re

_EXAMPLE = re.compile(
    # RFC 2606, RFC 5737 and RFC 3849 keep these names and addresses for documentation.
    r"(?<![\w-])example\.(?:org|com|net)|example-org"
    r"|\b(?:203\.0\.113|198\.51\.100|192\.0\.2)\.\d|2001:0?db8:"
    # AWS writes account ids like 111122223333 in its examples.
    r"|(?<!\d)(\d)\1{3}(\d)\2{3}(\d)\3{3}(?!\d)"
    r"|12345678-90ab-cdef-1234-567890abcdef|0a1b2c3d-1111-4111-8111-0123456789ab|Z0123456789ABCDEFGHIJ"
    r"|AAAAC3NzaC1lZDI1NTE5AAAAIE07dSBo6DrQnI7uRMOPjbzSWYwjki2\+xEYnZDUNc9RB"
)


def is_example(text: str) -> bool:
    """Say whether a text is, or holds, an example of the template's."""
    return bool(_EXAMPLE.search(text))
