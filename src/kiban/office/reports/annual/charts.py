"""The report's pictures, drawn to SVG and coloured by the page's style sheet, so that they print in ink on white."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

FONT = "Noto Sans JP, Noto Sans CJK JP, Hiragino Sans, Yu Gothic, Meiryo, DejaVu Sans, sans-serif"
INK, QUIET, LINE = "#010101", "#020202", "#030303"
SERIES = tuple(f"#10101{index}" for index in range(6))
# Stand-ins that become the page's variables.
VARIABLES: Mapping[str, str] = {
    INK: "--ink",
    QUIET: "--quiet",
    LINE: "--line",
    **{colour: f"--series-{index + 1}" for index, colour in enumerate(SERIES)},
}
WIDTH = 720
# Labels of amounts, as Vega writes them: 4,000万, 1.5億; 40M.
AMOUNTS: Mapping[str, str] = {
    "ja": "datum.value >= 1e8 ? format(datum.value / 1e8, ',~f') + '億' : "
    "datum.value >= 1e4 ? format(datum.value / 1e4, ',~f') + '万' : format(datum.value, ',')",
    "en": "format(datum.value, '~s')",
}


def by_month(rows: Sequence[tuple[str, int]], title: str, name: str, *, language: str) -> Markup:
    """Bars of yen, one per month."""
    import altair as alt

    values = [{"month": month, "value": value} for month, value in rows]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(color=SERIES[0])
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("value:Q", title=title, axis=alt.Axis(labelExpr=AMOUNTS[language], tickCount=5)),
        )
        .properties(width=WIDTH, height=180)
    )
    return _drawn(chart, name)


def utilisation(rows: Sequence[tuple[str, str, float]], title: str, name: str) -> Markup:
    """A line per pool over the months; what has no capacity has no point."""
    import altair as alt

    values = [{"pool": pool, "month": month, "value": value} for pool, month, value in rows]
    pools = list(dict.fromkeys(pool for pool, _, _ in rows))
    months = sorted({month for _, month, _ in rows})
    colours = [SERIES[index % len(SERIES)] for index in range(len(pools))]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_line(point=True, strokeWidth=2)
        .encode(
            x=alt.X("month:O", sort=months, title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(domainMin=0), axis=alt.Axis(format="%", tickCount=5)),
            color=alt.Color("pool:N", sort=pools, title=None, scale=alt.Scale(domain=pools, range=colours)),
        )
        .properties(width=WIDTH, height=200)
    )
    return _drawn(chart, name)


def _drawn(chart: Any, name: str) -> Markup:
    import vl_convert

    configured = (
        chart.configure(font=FONT, background="transparent", padding=4)
        .configure_view(stroke=None)
        .configure_axis(labelColor=INK, titleColor=QUIET, gridColor=LINE, domainColor=QUIET, tickColor=QUIET,
                        labelFontSize=11, titleFontSize=11, titleFontWeight="normal")
        .configure_legend(labelColor=INK, labelFontSize=11, orient="bottom", labelLimit=300)
    )  # fmt: skip
    svg: str = vl_convert.vegalite_to_svg(configured.to_dict())
    for colour, variable in VARIABLES.items():
        svg = svg.replace(f'"{colour}"', f'"var({variable})"')
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    return Markup(re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg))
