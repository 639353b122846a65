"""The page: offline, escaped, bounded, and without real aggregates where it is public."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.release import fake_run
from understudy.release.card import card
from understudy.release.certificate import certificate
from understudy.release.junit import junit
from understudy.release.profile import profile
from understudy.release.report import render

SENTINEL = 0.8312345
LEVEL = "only-in-the-real-data"


class Page(HTMLParser):
    """Collects attributes and checks that tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "input", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def with_secrets() -> dict[str, Any]:
    """A run whose real aggregates are sentinels, in every place one may stand."""
    run = copy.deepcopy(fake_run.run())
    for column in run["scorecard"]["columns"]:
        bars = column["histogram"]
        bars["labels"] = [LEVEL, *bars["labels"][1:]]
        for layer in ("real", "holdout", "floor_low", "floor_high"):
            bars[layer] = [SENTINEL] * 3
        bars["edges"] = [SENTINEL] * 4
        column["missing"]["real"] = SENTINEL
        column["wasserstein"] = SENTINEL
    for matrix in ("error", "floor"):
        run["scorecard"]["pairs"][matrix] = [[SENTINEL] * 2] * 2
    run["scorecard"]["correlations"]["real"] = [[SENTINEL] * 2] * 2
    run["scorecard"]["notes"] = [LEVEL]
    run["battery"]["notes"] = [LEVEL]
    run["battery"]["copies"]["duplicates_in_source"] = SENTINEL
    run["battery"]["copies"]["rare_keys"]["values"] = [LEVEL]
    run["schema"]["tables"][0]["columns"][0].update(why=LEVEL, minimum=SENTINEL)
    run["schema"]["tables"][0]["columns"][1]["levels"] = [LEVEL]
    run["notes"] = [LEVEL]
    cells = [{"column": "age", "agreement": "near", "real": LEVEL, "synthetic": "44"}]
    record = {"place": 1, "score": SENTINEL, "stratum": "all", "distance": 0.1, "twins": 3}
    record["cells"] = cells
    run["leaked"] = {"attack": "ensemble", "guesses": 50, "right": 41, "records": [record]}
    run["something_added_later"] = {"mean": SENTINEL, "level": LEVEL}
    return run


@pytest.mark.parametrize("public", [True, False])
def test_a_page_loads_nothing_and_is_well_formed(public: bool) -> None:
    text = render(fake_run.run(), public=public)
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in text
    assert len(text) < 500_000


@pytest.mark.parametrize("public", [True, False])
def test_values_from_data_are_escaped(public: bool) -> None:
    run = {**fake_run.run(), "drawn": profile(fake_run.synthetic())}
    run["title"] = '"><img src=x onerror=alert(1)>'
    page = Page(text := render(run, public=public))
    assert "<script>alert" not in text
    assert "größe &lt;b&gt;" in text
    assert page.tags.count("script") == 1
    assert "img" not in page.tags


def test_the_internal_page_says_so_and_shows_real_aggregates() -> None:
    text = render(with_secrets(), public=False)
    assert "contains real aggregates - do not share" in text
    assert "83.1 %" in text  # the sentinel as a share
    assert LEVEL in text
    assert "--seed 424242" in text


def test_public_papers_show_no_real_aggregate() -> None:
    run = {**with_secrets(), "drawn": profile(fake_run.synthetic())}
    page = render(run, public=True)
    papers = (page, json.dumps(certificate(run, [])), card(run, []))
    for paper in papers:
        assert LEVEL not in paper
        assert not re.search(r"0\.831|83\.1 ?%|83 ?%", paper)
        assert "424242" not in paper
        assert "content-hash" not in paper
        assert "no privacy budget" in paper.lower()
    assert "PUBLIC" in page
    assert page.count('class="histogram"') == 2  # of the synthetic rows


def test_exposed_records_are_internal_and_masked_until_asked_for() -> None:
    run = with_secrets()
    text = render(run, public=False)
    assert "Records most exposed" in text
    assert "41 were right" in text
    start = text.index('<details class="masked">')
    assert "a real person" in text[start : text.index("</summary>", start)]
    table = text[text.index('<table class="leaked">') : text.index("</details>", start)]
    # The value stands inside the folded part, and nowhere in what is shown at first.
    assert LEVEL in table[table.index("<details") :]
    assert LEVEL not in table[: table.index("<details")]
    assert "details:not(.masked)" in text  # printing unfolds the others only
    for private in (run, {**fake_run.private_run(), "leaked": run["leaked"]}):
        for paper in (render(private, public=True), card(private, []), junit(private)):
            assert "most exposed" not in paper
            assert LEVEL not in paper
        assert LEVEL not in json.dumps(certificate(private, []))


def test_attackers_stand_by_strength_with_their_intervals_on_log_axes() -> None:
    run = fake_run.run()
    weak = run["battery"]["attacks"][0]
    powers = [
        {"fpr": f, "tpr": f, "low": f / 2, "high": 2 * f, "realised_fpr": f} for f in (0.01, 0.1)
    ]
    strong = {**weak, "name": "strong", "auc_low": 0.7, "auc_high": 0.8, "auc": 0.75}
    run["battery"]["attacks"] = [weak, {**strong, "powers": powers}]
    text = render(run, public=False)
    assert text.index("<h4>strong</h4>") < text.index(f"<h4>{weak['name']}</h4>")
    (band,) = re.findall(r'<polygon class="band" points="([^"]+)"', text)
    corners = [tuple(map(float, corner.split(","))) for corner in band.split()]
    # A decade is 50 units wide: from 1 % to 10 % on the axis from .1 % to 100 %.
    assert [x for x, _ in corners] == [92.0, 142.0, 142.0, 92.0]
    ups = [158 - y for _, y in corners]
    assert ups[1] - ups[0] == pytest.approx(50, abs=0.2)
    assert ups[0] - ups[3] == pytest.approx(50 * 0.602, abs=0.2)  # log10(2 / .5)


def test_an_override_is_stamped_on_every_paper() -> None:
    run = {**fake_run.run(), "override": "asked for by the board"}
    files: list[dict[str, Any]] = []
    for paper in (
        render(run, public=True),
        card(run, files, override=run["override"]),
        json.dumps(certificate(run, files, override=run["override"])),
    ):
        assert "asked for by the board" in paper
        assert "by override" in paper.lower()


def test_thousands_of_columns_are_capped_and_the_page_says_so() -> None:
    run = fake_run.run()
    column = run["scorecard"]["columns"][1]
    run["scorecard"]["columns"] = [{**column, "name": f"c{i}"} for i in range(5_000)]
    run["schema"]["tables"][0]["columns"] = [
        {"name": f"c{i}", "kind": "category"} for i in range(5_000)
    ]
    text = render(run, public=False)
    assert text.count('<article class="column"') == 200
    assert "4,800 more columns" in text
    assert len(text) < 5_000_000


def test_a_run_with_nothing_measured_still_has_a_page() -> None:
    for public in (True, False):
        assert "NO VERDICT" in render({"format": 1}, public=public)


def test_all_null_findings_are_drawn_as_dashes() -> None:
    run = fake_run.run()
    for column in run["scorecard"]["columns"]:
        column.update(shape_error=None, shape_floor=None)
        column["histogram"].update(labels=[], real=[], synthetic=[], floor_low=[], floor_high=[])
    run["battery"]["attacks"][0].update(auc=None, tpr_at_1=None)
    assert "not compared" in render(run, public=False)
