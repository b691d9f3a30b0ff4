"""Options of a pre-training are refused by name where they cannot be."""

from dataclasses import replace

import pytest

from qdlaws.errors import BadData


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "big"}, "60k, 250k, 1m or width"),
        ({"size": "30-2-4-64"}, "even multiple"),
        ({"size": "32-0-2-64"}, "above 0"),
        ({"epochs": 0}, "epochs=0"),
        ({"held_out": 1.5}, "share from 0 to 1"),
        ({"representation": "inchi"}, "smiles or selfies"),
        ({"task": "sql"}, "one corpus"),
    ],
)
def test_bad_options_are_refused_by_name(small, change, message):
    with pytest.raises(BadData, match=message):
        replace(small, **change)
