"""One test case a line, in the shape that continuous integration reads."""

from __future__ import annotations

from xml.etree import ElementTree as xml

from tests.release import fake_run
from understudy.release.junit import junit

LINE = {"section": "privacy", "value": None, "low": None, "high": None}


def run() -> dict:
    lines = [
        {**LINE, "name": "copies", "ruling": "FAIL", "detail": 'a <b> & "c" \x00 ￿'},
        {**LINE, "name": "closeness", "ruling": "INCONCLUSIVE", "detail": "too few"},
        {**LINE, "name": "the judge", "ruling": "INFO", "detail": "informs"},
        {**LINE, "name": "valid rows", "ruling": "PASS", "detail": "fine"},
    ]
    verdict = {"ruling": "FAIL", "because": "copies", "lines": lines}
    return {**fake_run.run(), "title": "a\x0btable", "verdict": verdict, "releases": "query"}


def test_each_ruling_has_its_shape() -> None:
    root = xml.fromstring(junit(run()))
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == ["copies", "closeness", "the judge", "valid rows"]
    assert cases["copies"].find("failure").get("type") == "fail"
    assert cases["closeness"].find("failure").get("type") == "inconclusive"
    assert cases["the judge"].find("skipped").get("message") == "informs"
    assert [child.tag for child in cases["valid rows"]] == ["system-out"]
    assert cases["copies"].get("classname") == "understudy.privacy"


def test_the_counts_are_those_of_the_cases() -> None:
    for contents in (run(), fake_run.run(), {"verdict": None}):
        root = xml.fromstring(junit(contents))
        cases = list(root.iter("testcase"))
        for owner in (root, root[0]):
            assert int(owner.get("tests")) == len(cases)
            assert int(owner.get("failures")) == len(list(root.iter("failure")))
            assert owner.get("errors") == "0"
        assert int(root[0].get("skipped")) == len(list(root.iter("skipped")))


def test_what_xml_cannot_hold_is_replaced_and_the_rest_is_escaped() -> None:
    text = junit(run())
    assert "\x00" not in text
    failure = xml.fromstring(text).find(".//failure")
    assert failure.get("message") == 'a <b> & "c" � �'
    properties = {p.get("name"): p.get("value") for p in xml.fromstring(text).iter("property")}
    assert properties["releases"] == "query"
    assert properties["audience"].startswith("internal")
