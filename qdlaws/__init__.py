"""qdlaws: the laws of quality, diversity and entropy along an RL fine-tuning run."""

from qdlaws.advice.advise import Advice, advise
from qdlaws.advice.checkpoints import choose
from qdlaws.comparison.atlas import Atlas, atlas
from qdlaws.comparison.compare import Comparison, compare
from qdlaws.comparison.fleet import Fleet, fleet
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval
from qdlaws.core.kinds import EntropyKind
from qdlaws.core.law import Law
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, BadLog, MissingColumn, NotEnoughData, QdlawsError
from qdlaws.forecasting.backtest import Backtest, backtest
from qdlaws.forecasting.column import clock
from qdlaws.forecasting.forecast import Forecast, forecast
from qdlaws.forecasting.learn_prior import learn_prior
from qdlaws.forecasting.prior import ForecastPrior
from qdlaws.kl_frontier.frontier import Frontier, frontier
from qdlaws.laws.fit import fit
from qdlaws.laws.fit_many import fit_many
from qdlaws.laws.result import LawFit, LawFits
from qdlaws.readers import example_log, read, read_many
from qdlaws.reporting import report

__all__ = [
    "Advice",
    "Atlas",
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
    "atlas",
    "backtest",
    "choose",
    "clock",
    "compare",
    "example_log",
    "fit",
    "fit_many",
    "fleet",
    "forecast",
    "frontier",
    "learn_prior",
    "read",
    "read_many",
    "report",
]


def __dir__() -> list[str]:
    """The public names: completion shows these, not the sub-packages behind them."""
    return [*__all__, "measure"]
