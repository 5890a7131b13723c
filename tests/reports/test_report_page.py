# SPDX-License-Identifier: GPL-2.0-only
"""Reports in a real browser: they load, complain of nothing, ask for nothing, and show what happened when."""

import pytest
from recorded_run import EVIL, Config, computation, record, small_run, transfer

from edgelam.runs import RunFolder
from edgelam.runs.report import write_report
from edgelam.runs.report.compare import Comparison

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


def test_metrics_are_drawn_and_can_be_chosen(finished, look, tmp_path):
    page = look(write_report(finished, tmp_path / "report.html"))
    assert page.locator("#chart-table").input_value() == "metrics"
    assert (page.locator("#chart-x").input_value(), page.locator("#chart-y").input_value()) == ("time_s", "accuracy")
    assert page.locator("#chart polyline").count() == 2
    page.get_by_label(EVIL).uncheck()
    assert page.locator("#chart polyline").count() == 1
    page.locator("#chart-x").select_option("step")
    assert "step" in page.locator("#chart").inner_text()


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
    assert page.locator("#chart polyline").count() == 4  # two methods of two runs
    assert page.locator("#playback").is_hidden()
