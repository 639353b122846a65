"""A verdict as JUnit XML: one test case a line, in the shape that continuous integration reads.

FAIL is a failure, INCONCLUSIVE a failure of type "inconclusive" (what was not cleared may not leave
either), INFO is skipped with its sentence, PASS is a case without further ado. The file holds the
lines' sentences, so it is internal like the run it tells of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as xml

from understudy.contracts import Line

FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold even escaped; names of columns may."""


def junit(run: Mapping[str, Any]) -> str:
    """The XML of a run's or an audit's dictionary (`as_dict`)."""
    verdict = run.get("verdict") or {}
    lines = [Line(**line) for line in verdict.get("lines") or ()]
    counts = {
        "tests": len(lines),
        "failures": sum(line.ruling in ("FAIL", "INCONCLUSIVE") for line in lines),
        "errors": 0,
        "skipped": sum(line.ruling == "INFO" for line in lines),
    }
    counted = {name: str(count) for name, count in counts.items()}
    outer = {name: count for name, count in counted.items() if name != "skipped"}
    root = xml.Element("testsuites", {"name": "understudy", **outer})
    title = _clean(str(run.get("title", "Synthetic table")))
    suite = xml.SubElement(root, "testsuite", {"name": title, **counted})
    properties = xml.SubElement(suite, "properties")
    told = {
        "ruling": verdict.get("ruling"),
        "releases": run.get("releases", "data"),
        "understudy": run.get("understudy"),
        "audience": "internal: the sentences tell of real rows",
    }
    for name, value in told.items():
        xml.SubElement(properties, "property", {"name": name, "value": _clean(str(value))})
    for line in lines:
        _case(suite, line)
    xml.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + xml.tostring(root, encoding="unicode") + "\n"


def _case(suite: xml.Element, line: Line) -> None:
    about = {"classname": f"understudy.{line.section}", "name": line.name}
    case = xml.SubElement(suite, "testcase", about)
    detail = _clean(line.detail)
    if line.ruling == "INFO":
        xml.SubElement(case, "skipped", {"message": detail})
    elif line.ruling != "PASS":
        kind = "fail" if line.ruling == "FAIL" else "inconclusive"
        failure = xml.SubElement(case, "failure", {"type": kind, "message": detail})
        failure.text = detail
    else:
        xml.SubElement(case, "system-out").text = detail


def _clean(text: str) -> str:
    return FORBIDDEN.sub("�", text)
