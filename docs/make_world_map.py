"""Makes dashboards/assets/vendor/world.json, the country shapes of map panels, from npm packages.

    npm pack world-atlas@2.0.2 i18n-iso-countries@7.14.0     (each unpacked into a folder)
    python docs/make_world_map.py WORLD_ATLAS_FOLDER ISO_FOLDER

Shapes are Natural Earth's (public domain): those of 1:110 million, and a dot for every country that
is too small to be there. Projected once (Equal Earth), so that a browser only paints paths.
Out: {"width", "height", "countries": {ISO 3166-1 alpha-2: [name, path]}, "dots": {code: [name, x,
y]}, "land": [paths of places without a code]}.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

WIDTH = 1000.0
TARGET = Path(__file__).resolve().parents[1] / "dashboards/assets/vendor/world.json"
ANTARCTICA = "010"
LEAST_STEP = 0.35
"""Points nearer to the one before are left out: a third of a pixel on a panel of full width."""

Point = tuple[float, float]


def project(longitude: float, latitude: float) -> Point:
    """Equal Earth (Savric, Patterson, Jenny 2018): equal areas, so that colour does not mislead."""
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    t2 = theta * theta
    t6 = t2**3
    slope = 9 * a4 * t6 * t2 + 7 * a3 * t6 + 3 * a2 * t2 + a1
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / (3 * slope)
    return x, theta * (a1 + a2 * t2 + t6 * (a3 + a4 * t2))


X_MAX = project(180, 0)[0]
TOP, BOTTOM = project(0, 84)[1], project(0, -57)[1]
SCALE = WIDTH / (2 * X_MAX)
HEIGHT = (TOP - BOTTOM) * SCALE


def on_page(longitude: float, latitude: float) -> Point:
    x, y = project(longitude, latitude)
    return (x + X_MAX) * SCALE, (TOP - y) * SCALE


class Topology:
    """A TopoJSON file: arcs of quantized deltas that neighbours share."""

    def __init__(self, path: Path) -> None:
        raw = json.loads(path.read_text())
        scale, translate = raw["transform"]["scale"], raw["transform"]["translate"]
        self.countries = raw["objects"]["countries"]["geometries"]
        self._arcs: list[list[Point]] = []
        for arc in raw["arcs"]:
            x = y = 0
            line = []
            for dx, dy in arc:
                x, y = x + dx, y + dy
                line.append((x * scale[0] + translate[0], y * scale[1] + translate[1]))
            self._arcs.append(line)

    def rings(self, geometry: dict[str, Any]) -> list[list[Point]]:
        """All rings of a (multi-)polygon, as longitude and latitude; holes among them."""
        polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
        return [self._ring(ring) for polygon in polygons for ring in polygon]

    def _ring(self, arcs: list[int]) -> list[Point]:
        points: list[Point] = []
        for index in arcs:
            arc = self._arcs[index] if index >= 0 else self._arcs[~index][::-1]
            points += arc[1:] if points else arc
        return points


def cut(ring: list[Point]) -> list[list[Point]]:
    """A ring that crosses the antimeridian as parts that stay on one side of it."""
    unrolled = [ring[0]]
    for longitude, latitude in ring[1:]:
        turns = round((unrolled[-1][0] - longitude) / 360)
        unrolled.append((longitude + 360 * turns, latitude))
    parts = []
    for shift in (-360, 0, 360):
        part = [(x + shift, y) for x, y in unrolled]
        for edge, side in ((-180.0, 1), (180.0, -1)):
            part = clip(part, edge, side)
        if len(part) > 2:
            parts.append(part)
    return parts


def clip(ring: list[Point], edge: float, side: int) -> list[Point]:
    """What of a ring lies east (side 1) or west (-1) of a meridian: Sutherland and Hodgman."""
    out: list[Point] = []
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
        inside_a, inside_b = (ax - edge) * side >= 0, (bx - edge) * side >= 0
        if inside_a:
            out.append((ax, ay))
        if inside_a != inside_b:
            out.append((edge, ay + (by - ay) * (edge - ax) / (bx - ax)))
    return out


def path_of(rings: list[list[Point]]) -> str:
    """SVG path with relative steps of a tenth, which is shortest."""
    parts = []
    for ring in (part for whole in rings for part in cut(whole)):
        kept: list[Point] = []
        for x, y in (on_page(*point) for point in ring):
            if not kept or math.dist(kept[-1], (x, y)) >= LEAST_STEP:
                kept.append((x, y))
        if len(kept) < 3:
            continue
        tenths = [(round(x * 10), round(y * 10)) for x, y in kept]
        steps = [
            f"{(x - px) / 10:g},{(y - py) / 10:g}"
            for (px, py), (x, y) in zip(tenths, tenths[1:], strict=False)
        ]
        parts.append(f"M{tenths[0][0] / 10:g},{tenths[0][1] / 10:g}l{' '.join(steps)}z")
    return "".join(parts)


def centre(rings: list[list[Point]]) -> Point:
    """Middle of the largest ring, on the page."""
    ring = max(rings, key=len)
    pages = [on_page(*point) for point in ring]
    return sum(x for x, _ in pages) / len(pages), sum(y for _, y in pages) / len(pages)


def main(atlas: Path, iso: Path) -> None:
    codes = {
        numeric.zfill(3): alpha2
        for alpha2, _alpha3, numeric, *_ in json.loads((iso / "codes.json").read_text())
    }
    coarse, fine = Topology(atlas / "countries-110m.json"), Topology(atlas / "countries-50m.json")
    countries: dict[str, list[object]] = {}
    land: list[str] = []
    for geometry in coarse.countries:
        numeric = geometry.get("id")
        if numeric == ANTARCTICA:
            continue
        path = path_of(coarse.rings(geometry))
        if numeric in codes:
            countries[codes[numeric]] = [geometry["properties"]["name"], path]
        else:
            land.append(path)
    dots: dict[str, list[object]] = {}
    for geometry in fine.countries:
        code = codes.get(geometry.get("id", ""))
        if code and code not in countries and code != "AQ":
            x, y = centre(fine.rings(geometry))
            dots[code] = [geometry["properties"]["name"], round(x, 1), round(y, 1)]
    world = {
        "width": WIDTH,
        "height": round(HEIGHT, 1),
        "countries": dict(sorted(countries.items())),
        "dots": dict(sorted(dots.items())),
        "land": land,
    }
    TARGET.write_text(json.dumps(world, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.write(f"{TARGET.name}: {len(countries)} shapes, {len(dots)} dots\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
