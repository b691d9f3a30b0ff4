"""The lines that a pre-training shows."""

from qdlaws.measure import Estimate
from trainer.pretrain.display import summary_line


def test_measures_are_shown_in_one_readable_line():
    measures = {"own": 12_345, "loss": 0.5848, "valid": Estimate(0.912, 0.009, 9, "v", share=True)}
    assert summary_line(measures) == "own 12,345, loss 0.5848, valid 91.2 ± 0.9 %"
