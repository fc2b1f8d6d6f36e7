"""Energy, carbon, water and power of an estimate at its site, and in other places and seasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kiban.plan.energy.siting import (
    Energy,
    Site,
    SiteRow,
    Water,
    carbon,
    compare_sites,
    energy,
    find_area,
    find_site,
    share_of_feed,
    water,
)
from kiban.plan.hardware.accelerators import Accelerator
from kiban.plan.planfile import PlanSite
from kiban.plan.quantity import Quantity

# GPUs compute nearly all the time of a training run; what they wait for is counted as waiting, at full clock.
UTILISATION = 1.0


@dataclass(frozen=True)
class Footprint:
    """What a number of GPU-hours takes from the grid and puts into the air."""

    energy: Energy
    kwh: Quantity
    kg_co2: Quantity
    water: Water
    water_litres: Quantity | None
    area: str
    site: Site
    feed_w: float | None
    rows: tuple[SiteRow, ...]

    def json(self) -> dict[str, Any]:
        return {
            "kwh": {**self.kwh.json(), "pue": self.energy.pue},
            "kg_co2": {**self.kg_co2.json(), "area": self.area},
            "power_w": {
                **Quantity(self.energy.average_site_power_w, "W", (self.energy.method, *self.energy.sources)).json(),
                "peak": self.energy.peak_site_power_w,
                "rated": self.energy.rated_site_power_w,
                "feed": self.feed_w,
                "share_of_feed": share_of_feed(self.energy.peak_site_power_w, self.feed_w) if self.feed_w else None,
            },
            "water_litres": self.water_litres.json()
            if self.water_litres
            else {"value": None, "why": self.water.source},
            "elsewhere": [asdict(row) for row in self.rows],
        }


def footprint(gpu_hours: Quantity, hours: float, accelerator: Accelerator, gpus: int, plan: PlanSite) -> Footprint:
    """Footprint of `gpu_hours` on `gpus` GPUs over `hours` of wall-clock time, at the plan's site and elsewhere.

    Raises:
        BadInput: an unknown area or site.
    """
    site = find_site(plan.site, where="site.site")
    # A named site stands where it stands, unless the plan says otherwise.
    area = find_area(site.area if plan.site and "area" not in plan.model_fields_set else plan.area, where="site.area")
    pue = plan.pue if plan.pue is not None else site.pue
    pue_source = f"PUE {pue:g}: " + ("the plan" if plan.pue is not None else site.source)
    used = energy(gpu_hours.value, accelerator, UTILISATION, pue, gpus=gpus, pue_source=pue_source)
    per_hour = used.facility_kwh / gpu_hours.value
    scale = gpu_hours.value or 1.0
    kwh = gpu_hours.with_range(
        per_hour, used.low_facility_kwh / scale, used.high_facility_kwh / scale, "kWh", used.method, *used.sources
    )
    month = plan.start_month
    rows = compare_sites(kwh.value, hours, base=area.name, start_month=month)
    here = next((row for row in rows if row.area == area.name), None)
    # A job of under a year that starts in a stated month meets that month's grid; any other the annual mean.
    emitted = carbon(kwh.value, area)
    kg, low, high = (
        (here.kg, here.low_kg, here.high_kg) if here and month else (emitted.kg, emitted.low_kg, emitted.high_kg)
    )
    per_kwh = [each / (kwh.value or 1.0) for each in (kg, low, high)]
    co2 = kwh.with_range(per_kwh[0], per_kwh[1], per_kwh[2], "kg CO2", emitted.method, *emitted.sources)
    used_water = water(used.it_kwh, site)
    litres = None
    if used_water.litres is not None:
        litres = gpu_hours.times(used_water.litres / scale, "L", used_water.source)
    feed = plan.feed or (site.feed_w if plan.site else None)
    return Footprint(used, kwh, co2, used_water, litres, area.name, site, feed, rows)
