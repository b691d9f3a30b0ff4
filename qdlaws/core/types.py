"""The arrays that the library passes about, named once."""

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Flags", "Rows"]

Array = npt.NDArray[np.float64]
"""Numbers."""

Rows = npt.NDArray[np.intp]
"""Row numbers, and other integers that index."""

Flags = npt.NDArray[np.bool_]
"""One yes or no for each row."""
