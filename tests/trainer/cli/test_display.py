"""What a person sees of a run while it trains."""

from __future__ import annotations

from trainer.cli.display import evaluation_line, print_evaluation

ROW = {
    "step": 10,
    "phase": "eval",
    "quality": 0.5,
    "quality_se": 0.2,
    "diversity": 0.8,
    "entropy": None,
    "kl": 1.0,
    "n_samples": 40,
    "n_failed": 0,
    "n_prompts": 1,
}


def test_a_share_of_failed_scores_is_said_in_words():
    assert "failed" not in evaluation_line(ROW | {"n_failed": 4})
    assert "70% of the scores failed" in evaluation_line(ROW | {"n_failed": 28})


def test_an_error_over_few_prompts_says_so():
    assert "prompts" not in evaluation_line(ROW)
    assert "± of only 2 prompts" in evaluation_line(ROW | {"n_prompts": 2})
    assert "prompts" not in evaluation_line(ROW | {"n_prompts": 30})


def test_quality_that_was_not_measured_is_not_shown_as_0():
    line = evaluation_line(ROW | {"quality": None, "quality_se": None, "n_failed": 40})
    assert "R ?" in line
    assert "100% of the scores failed" in line


def test_every_row_of_an_evaluation_says_what_it_means(capsys):
    print_evaluation(ROW | {"circles": 12.0, "circles_m": 500, "pass@4": 0.5})
    text = " ".join(capsys.readouterr().out.split())
    assert "mean task score" in text
    assert "(m = 500)" in text
    assert "at least one of k samples" in text
