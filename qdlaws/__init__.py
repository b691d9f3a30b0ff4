"""qdlaws: the laws of quality, diversity and entropy along an RL fine-tuning run."""

from qdlaws.advise import Advice, advise
from qdlaws.backtest import Backtest, backtest
from qdlaws.checkpoints import choose
from qdlaws.clock import clock
from qdlaws.errors import BadData, BadLog, MissingColumn, NotEnoughData, QdlawsError
from qdlaws.fit import LawFits, fit
from qdlaws.fleet import Comparison, Fleet, compare, fleet
from qdlaws.forecast import Forecast, forecast
from qdlaws.frontier import Frontier, frontier
from qdlaws.goal import Goal
from qdlaws.kinds import EntropyKind
from qdlaws.law import Interval, Law
from qdlaws.lawfit import LawFit
from qdlaws.learn import learn_prior
from qdlaws.prior import ForecastPrior
from qdlaws.readers import read
from qdlaws.report import report
from qdlaws.runlog import RunLog
from qdlaws.runs import fit_many

__all__ = [
    "Advice",
    "Backtest",
    "BadData",
    "BadLog",
    "Comparison",
    "EntropyKind",
    "Fleet",
    "Forecast",
    "ForecastPrior",
    "Frontier",
    "Goal",
    "Interval",
    "Law",
    "LawFit",
    "LawFits",
    "MissingColumn",
    "NotEnoughData",
    "QdlawsError",
    "RunLog",
    "advise",
    "backtest",
    "choose",
    "clock",
    "compare",
    "fit",
    "fit_many",
    "fleet",
    "forecast",
    "frontier",
    "learn_prior",
    "read",
    "report",
]
