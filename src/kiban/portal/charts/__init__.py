"""Figures as pictures that everybody can read: SVG of the page's own colours, with words and a table behind each.

A chart is a function from plain data to a `Chart`, which templates show with `components/chart.html`. What writes its
figures is `fmt.text` of the page. The same chart is drawn once (`kept`); the first drawing of a process starts an
engine, for which `warm_up` is called when a server starts.
"""

from kiban.portal.charts.balance import PoolMonth, pool_balance
from kiban.portal.charts.bars import Bar, bars
from kiban.portal.charts.burndown import Grant, all_together, burn_down
from kiban.portal.charts.chart import Branch, Cell, Chart, Column, Table
from kiban.portal.charts.drawing import warm_up
from kiban.portal.charts.frontier import Objective, award_frontier
from kiban.portal.charts.inline import meter, sparkline
from kiban.portal.charts.intervals import Interval, IntervalRow, intervals
from kiban.portal.charts.lineage import Artifact, lineage
from kiban.portal.charts.quantities import Quantity, energy, gpu_time, share, yen
from kiban.portal.charts.series import MonthSeries, StepSeries, over_months, over_steps

__all__ = [
    "Artifact",
    "Bar",
    "Branch",
    "Cell",
    "Chart",
    "Column",
    "Grant",
    "Interval",
    "IntervalRow",
    "MonthSeries",
    "Objective",
    "PoolMonth",
    "Quantity",
    "StepSeries",
    "Table",
    "all_together",
    "award_frontier",
    "bars",
    "burn_down",
    "energy",
    "gpu_time",
    "intervals",
    "lineage",
    "meter",
    "over_months",
    "over_steps",
    "pool_balance",
    "share",
    "sparkline",
    "warm_up",
    "yen",
]
