# SPDX-License-Identifier: GPL-2.0-only
"""Reports in a real browser: they load, complain of nothing, ask for nothing, and show what happened when."""

import hashlib
import re
from pathlib import Path

import pytest
from recorded_run import EVIL, Config, computation, record, small_run, transfer

from edgelam.report import write, write_report
from edgelam.report.compare import Comparison
from edgelam.runs import RunFolder
from edgelam.runs.scores import Score

pytestmark = pytest.mark.slow
expect = pytest.importorskip("playwright.sync_api").expect


def rows(page, table: str) -> dict[str, list[str]]:
    cells = page.locator(f"{table} tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(c => c.innerText))"
    )
    return {row[0]: row[1:] for row in cells}


def pixels(page, canvas: str) -> str:
    return page.locator(canvas).evaluate("canvas => canvas.toDataURL()")


def test_the_slider_moves_nodes_and_tells_what_they_do(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    assert page.locator("#now").inner_text() == "0.000 s of 4.000 s"
    assert rows(page, "#now-table")["ue0"] == ["ue", "0.0, 5.0", ""]
    seen = {pixels(page, "#map")}
    for position, at, ue0, edge0 in (
        (4375, "1.750 s", ["ue", "17.5, 5.0", "sends to edge0"], ["edge", "-", f"receives from ue0, {EVIL}"]),
        (7000, "2.800 s", ["ue", "28.0, 5.0", ""], ["edge", "-", "computes encode"]),
        (9000, "3.600 s", ["ue", "36.0, 5.0", "receives from edge0"], ["edge", "-", "sends to ue0"]),
    ):
        page.locator("#slider").fill(str(position))
        assert page.locator("#now").inner_text() == f"{at} of 4.000 s"
        shown = rows(page, "#now-table")
        assert (shown["ue0"], shown["edge0"]) == (ue0, edge0)
        assert shown["gnb0"] == ["gnb", "0.0, 0.0", ""]
        seen.add(pixels(page, "#map"))
    assert len(seen) == 4  # the map was another each time


def test_play_runs_to_the_end_and_stops(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    page.locator("#speed").select_option("x1")
    page.locator("#slider").fill("9500")
    page.locator("#play").click()
    assert "pause" in page.locator("#play").inner_text()
    expect(page.locator("#now")).to_have_text("4.000 s of 4.000 s", timeout=20_000)
    expect(page.locator("#play")).to_contain_text("play", timeout=20_000)


def test_the_timeline_seeks_zooms_and_names_what_is_under_the_pointer(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    timeline = page.locator("#timeline-base")
    box = timeline.bounding_box()
    x = 120 + (1.75 / 4) * (box["width"] - 120)
    timeline.click(position={"x": x, "y": 40})
    assert float(page.locator("#now").inner_text().split()[0]) == pytest.approx(1.75, abs=0.01)
    timeline.hover(position={"x": x, "y": 40})
    assert page.locator("#tip").inner_text() == "data: ue0 to edge0, 1.50 MB, 1.00000 s to 2.00000 s"
    whole = pixels(page, "#timeline-base")
    page.locator("#zoom-in").click()
    assert pixels(page, "#timeline-base") != whole
    page.locator("#zoom-all").click()
    timeline.hover(position={"x": 5, "y": 5})
    assert pixels(page, "#timeline-base") == whole


def test_simulations_are_chosen_and_the_two_clocks_stand_apart(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    assert page.locator("#simulated").inner_text().split("\n") == ["Simulated time", "first", "4 s", "second", "1 s"]
    wall = page.locator("#wall").inner_text()
    assert wall.startswith("Wall clock")
    assert "4 s" not in wall.split("\n")
    page.locator("#simulation").select_option(label="second")
    expect(page.locator("#now")).to_contain_text("of 1.0000 s")
    assert set(rows(page, "#now-table")) == {"ue0", "edge0"}
    assert "not to scale" in page.locator("#map-legend").inner_text()  # no positions


def test_what_looks_like_html_is_text(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    assert page.title() == f"nowhere, run {finished.name}"
    assert EVIL in rows(page, "#now-table")
    assert EVIL in page.locator("#chart-legend").inner_text()
    assert EVIL in rows(page, "#configuration")["note"][0]
    assert page.locator("body script:not(#data)").count() == 1
    assert page.locator("img[onerror]").count() == 0


def lines_drawn(page) -> list[str]:
    """Names of the lines that are ticked and whose colour is on the canvas."""
    return page.evaluate(
        """() => {
        const canvas = document.querySelector("#chart canvas");
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set();
        for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] === 255) seen.add(`rgb(${data[i]}, ${data[i + 1]}, ${data[i + 2]})`);
        const drawn = (line) => seen.has(getComputedStyle(line).stroke);
        return [...document.querySelectorAll("#chart-legend label")]
            .filter((label) => label.querySelector("input").checked && drawn(label.querySelector("line")))
            .map((label) => label.querySelector("span").textContent);
    }"""
    )


def lines_ticked(page) -> list[str]:
    return page.locator("#chart-legend label").evaluate_all(
        "labels => labels.filter(l => l.querySelector('input').checked).map(l => l.querySelector('span').textContent)"
    )


def test_metrics_are_drawn_and_can_be_chosen(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    assert page.locator("#chart-table").input_value() == "metrics"
    assert (page.locator("#chart-x").input_value(), page.locator("#chart-y").input_value()) == ("time_s", "accuracy")
    assert page.locator("#chart").get_attribute("aria-label") == "accuracy against time (simulated s)"
    assert lines_drawn(page) == ["first", EVIL]
    page.get_by_label(EVIL).uncheck()
    assert lines_drawn(page) == ["first"]
    before = pixels(page, "#chart canvas")
    page.locator("#chart-x").select_option("step")
    assert page.locator("#chart").get_attribute("aria-label") == "accuracy against step"
    assert pixels(page, "#chart canvas") != before
    before = pixels(page, "#chart canvas")
    page.locator("#chart-log").check()
    assert pixels(page, "#chart canvas") != before


def test_the_chart_tells_the_value_under_the_pointer(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    plot = page.locator("#chart .u-over")
    box = plot.bounding_box()
    plot.hover(position={"x": box["width"] * 2 / 3, "y": box["height"] / 2})
    assert page.locator("#chart-legend label").first.inner_text().endswith("first 0.7 at 2")


def test_what_the_score_is_taken_of_and_every_run_is_drawn(look, tmp_path):
    """Eleven devices and, at the end of the table, their average; nine such runs beside one another."""
    runs, score = [], Score("accuracy", better="higher", where={"head": "average"})
    for number in range(9):
        with RunFolder.create("nowhere", Config(seed=number), seed=number, out=tmp_path) as folder:
            folder.record(scores=[score.plain()])
            table = folder.table("metrics", {"round": int, "head": str, "test_set": str, "accuracy": float})
            for step in range(3):
                for place, head in enumerate([*(f"ue{device}" for device in range(11)), "average"]):
                    accuracy = 0.2 * step + 0.02 * place + 0.001 * number
                    table.append({"round": step, "head": head, "test_set": "own", "accuracy": accuracy})
        runs.append(folder.path)
    page = look(write_report(runs[0]))
    assert len(lines_drawn(page)) == 8
    assert lines_drawn(page)[0] == "average, own"
    comparison = Comparison(runs)
    comparison.write(tmp_path / "compare.html")
    page = look(tmp_path / "compare.html")
    assert sorted(lines_ticked(page)) == sorted(f"{name}, average, own" for name in comparison.names)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_a_narrow_screen_and_a_dark_one(finished, look, tmp_path, scheme, width):
    path = write_report(finished, tmp_path / "report.html")
    page = look(path, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#chart canvas").evaluate("c => c.getBoundingClientRect().right") <= width
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[:3]
    assert (red + green + blue > 600) == (scheme == "light")
    shades = page.locator("#timeline-base").evaluate(
        "c => [...c.getContext('2d').getImageData(3, 3, 1, 1).data.slice(0, 3)].reduce((a, b) => a + b)"
    )
    assert (shades > 600) == (scheme == "light")  # what is drawn follows, too
    page.emulate_media(color_scheme="light" if scheme == "dark" else "dark")
    expect(page.locator("#chart-legend line").first).not_to_have_attribute(
        "stroke", {"light": "#0072b2", "dark": "#4aa8e0"}[scheme]
    )


def test_results_come_first(finished, look, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_results", lambda run: "accuracy 0.7")
    page = look(write_report(finished, tmp_path / "report.html"))
    tops = [page.locator(f"#{name}").bounding_box()["y"] for name in ("text", "clocks", "chart", "playback")]
    assert tops == sorted(tops)
    assert tops[0] < 200


def test_the_library_of_the_charts_is_the_published_one():
    folder = Path(write.__file__).parent / "uplot"
    told = dict(
        re.findall(r"^\| `(\S+)` \| SHA-256 ([0-9a-f]{64}) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    )
    assert set(told) == {"uPlot.iife.min.js", "uPlot.min.css"}
    for name, digest in told.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "Leon Sorokin" in (folder / "LICENSE").read_text()


def test_a_hundred_thousand_transfers_stay_usable(look, tmp_path):
    nodes = {f"ue{i}": "ue" for i in range(100)} | {"edge0": "edge"}
    many = [transfer(i, f"ue{i % 100}", "edge0", i * 1e-3, i * 1e-3 + 0.05) for i in range(100_000)]
    with RunFolder.create("nowhere", Config(), seed=1, out=tmp_path) as folder:
        record(folder, "many", nodes, many, [computation("edge0", "x", i / 10, i / 10 + 0.05) for i in range(1000)])
    written = write_report(folder.path)
    assert written.stat().st_size < 10_000_000
    page = look(written)
    assert "100000 transfers" in page.locator("#about").inner_text()
    assert page.locator("#merged").is_hidden()  # every one is there
    page.locator("#slider").fill("5000")
    assert rows(page, "#now-table")["edge0"][2].startswith("computes x; receives from")


def test_two_runs_overlaid(finished, look, tmp_path):
    other = small_run(tmp_path, rate=0.25)
    comparison = Comparison([finished, other])
    comparison.write(tmp_path / "compare.html")
    page = look(tmp_path / "compare.html")
    assert page.locator("h1").inner_text() == "2 runs compared"
    assert rows(page, "#differences") == dict(zip(comparison.names, (["0.5"], ["0.25"]), strict=True))
    assert page.locator("#runs tbody tr").count() == 4
    assert len(lines_ticked(page)) == 4  # two methods of two runs
    assert page.locator("#playback").is_hidden()
