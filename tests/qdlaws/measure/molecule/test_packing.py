"""The largest subset of members that are far apart."""

import numpy as np
import pytest

from qdlaws.measure.molecule.packing import packing_number

pytest.importorskip("rdkit")


def test_packing_numbers_of_cycles_and_cliques():
    n = 17  # a cycle: independence number ⌊n/2⌋
    cycle = [1 << i | 1 << (i + 1) % n | 1 << (i - 1) % n for i in range(n)]
    everybody = np.arange(n)
    assert packing_number(cycle, everybody, everybody, exact=True) == 8
    petersen = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 5), (1, 6), (2, 7), (3, 8), (4, 9)]
    petersen += [(5, 7), (7, 9), (9, 6), (6, 8), (8, 5)]
    near = [1 << i for i in range(10)]
    for a, b in petersen:
        near[a] |= 1 << b
        near[b] |= 1 << a
    assert packing_number(near, np.arange(10), np.arange(10), exact=True) == 4
