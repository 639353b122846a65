"""Mistakes of the user's: one paragraph that says what to do, exit code 2, nothing half-written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.call import Answer, Shell

BAD_FILES = {
    "empty.csv": (b"", "empty.csv is empty. It needs a header line and rows"),
    "header.csv": (b"a,b,c\n", "header.csv has a header and no rows"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n", "ragged.csv, line 3: 3 cells where the header has 2"),
    "open.csv": (b'a,b\n1,"2\n3,4\n', "line 2: a cell begins with a quote"),
    "latin.csv": ("a,b\nMünchen,2\n".encode("latin-1"), "is not utf-8: line 2, byte 5"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "columns of the same name: 'a'. Rename them"),
    "nameless.csv": (b"a,,c\n1,2,3\n", "column 2 has no name"),
    "damaged.parquet": (b"PAR1", "is no readable Parquet file"),
    "book.xlsx": (b"PK", "neither CSV nor Parquet by its name"),
}
READERS = {
    "run": ("run", "{}", "--no-dp", "--out", "out"),
    "fit": ("fit", "{}", "--no-dp", "-o", "out"),
    "inspect": ("inspect", "{}", "-o", "plan.yaml"),
    "train": ("audit", "--train", "{}", "--holdout", "people.csv", "--synthetic", "people.csv"),
    "holdout": ("audit", "--train", "people.csv", "--holdout", "{}", "--synthetic", "people.csv"),
    "synthetic": ("audit", "--train", "people.csv", "--holdout", "people.csv", "--synthetic", "{}"),
}


def _is_one_paragraph(answer: Answer) -> None:
    assert answer.code == 2, answer
    assert answer.out == ""
    lines = [line for line in answer.err.splitlines() if not line.endswith(" ...")]
    assert len(lines) == 1, answer.err
    assert "Traceback" not in answer.err
    assert lines[0].split(":")[0].endswith("Error")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", BAD_FILES)
def test_files_that_cannot_be_read(shell: Shell, reader: str, name: str) -> None:
    content, message = BAD_FILES[name]
    (shell.folder / name).write_bytes(content)
    before = shell.files()
    answer = shell(*(word.format(name) for word in READERS[reader]))
    _is_one_paragraph(answer)
    assert message in answer.err
    assert shell.files() == before


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file_is_answered_with_the_nearest(shell: Shell, reader: str) -> None:
    before = shell.files()
    answer = shell(*(word.format("poeple.csv") for word in READERS[reader]))
    _is_one_paragraph(answer)
    assert "no file 'poeple.csv'. Did you mean 'people.csv'?" in answer.err
    assert shell.files() == before


RUN = ("run", "people.csv", "--no-dp", "--out", "out")
FIT = ("fit", "people.csv", "--no-dp", "-o", "out")
SAMPLE = ("sample", "{model}", "-o", "out.csv")
AUDIT = ("audit", "--train", "people.csv", "--holdout", "people.csv", "--synthetic", "people.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*RUN, "--target", "incom"), "no column 'incom'. Did you mean 'income'?"),
        ((*FIT, "--target", "incom"), "no column 'incom'. Did you mean 'income'?"),
        ((*AUDIT, "--target", "incom"), "no column 'incom'. Did you mean 'income'?"),
        ((*RUN, "--target", "mail"), "'mail' is identifier (values are e-mail addresses)"),
        ((*FIT, "--target", "mail"), "'mail' is identifier (values are e-mail addresses)"),
        ((*RUN, "--unit", "hous"), "no column 'hous'. Known: 'id', 'age'"),
        ((*RUN, "-n", "0"), "asked for 0 rows; ask for at least 1"),
        ((*RUN, "--rows", "-5"), "asked for -5 rows; ask for at least 1"),
        ((*RUN, "--engine", "tre"), "no engine called 'tre'. Did you mean 'tree'?"),
        ((*FIT, "--engine", "tre"), "no engine called 'tre'. Did you mean 'tree'?"),
        ((*RUN, "--balance", "income"), "write COL=uniform or COL:LEVEL=SHARE"),
        ((*RUN, "--balance", "income:high=2"), "write COL=uniform or COL:LEVEL=SHARE"),
        ((*RUN, "--balance", "incom=uniform"), "no column 'incom'. Did you mean 'income'?"),
        ((*RUN, "--delimiter", ";;"), "';;' is no delimiter. Give one character"),
        ((*RUN, "--encoding", "utf-9"), "no encoding 'utf-9'. Try utf-8 or latin-1"),
        ((*RUN[:-1], "people.csv"), "people.csv is a file. Give --out a folder"),
        ((*FIT[:-1], "people.csv"), "people.csv exists and is no model. Give --out a new folder"),
        (("inspect", "people.csv", "-o", "."), "cannot write .: it is a folder"),
        ((*SAMPLE, "-n", "0"), "asked for 0 rows"),
        ((*SAMPLE, "-n", "-1"), "asked for -1 rows"),
        ((*SAMPLE, "--where", "agee > 3"), "no column 'agee'. Did you mean 'age'?"),
        ((*SAMPLE, "--where", "sex = 'X'"), "no training row satisfies sex = 'X'"),
        ((*SAMPLE, "--where", "age > 900"), "no training row satisfies age"),
        ((*SAMPLE, "--where", "age > 5 AND age < 4"), "can never hold together"),
        ((*SAMPLE, "--where", "age > 'old'"), "column 'age' holds numbers"),
        ((*SAMPLE, "--where", "age >"), "is not understood: it is not SQL"),
        ((*SAMPLE, "--where", "age > 1 OR age < 0"), "OR is not part of the grammar"),
        ((*SAMPLE, "--balance", "incom=uniform"), "no column 'incom'. Did you mean 'income'?"),
        ((*SAMPLE, "--balance", "income:hi=0.5"), "no level 'hi'"),
        (("sample", "{model}", "-o", "x.json"), "cannot tell how to write x.json. End it in .csv"),
        (("sample", "people.csv", "-o", "out.csv"), "holds no model"),
        (("sample", "none", "-o", "out.csv"), "none holds no model (no model.json). Make one with"),
        (("report", "none"), "none holds no report. Make one with: understudy run"),
        (("report", "diff", "a"), "say which two runs: understudy report diff RUN_A RUN_B"),
        (("report", "diff", "a", "b"), "a holds no finished run"),
        (("release", "none"), "none holds no finished run"),
    ],
)  # fmt: skip
def test_requests_that_cannot_be_met(
    shell: Shell, model: Path, words: tuple[str, ...], message: str
) -> None:
    before = shell.files()
    answer = shell(*(word.replace("{model}", str(model)) for word in words))
    _is_one_paragraph(answer)
    assert message in answer.err
    assert shell.files() == before


def test_tables_with_other_columns_are_no_audit(shell: Shell) -> None:
    (shell.folder / "other.csv").write_text("id,age\n1,2\n3,4\n")
    answer = shell(*AUDIT[:-1], "other.csv")
    _is_one_paragraph(answer)
    assert "synthetic: the data has no column 'sex', which table 'people' should have" in answer.err


def test_an_output_folder_of_something_else_is_left_alone(shell: Shell) -> None:
    (shell.folder / "out").mkdir()
    (shell.folder / "out" / "thesis.doc").write_text("years of work")
    before = shell.files()
    answer = shell(*RUN)
    _is_one_paragraph(answer)
    assert "out holds files that are not of a run. Give --out a new or empty folder" in answer.err
    answer = shell(*FIT)
    _is_one_paragraph(answer)
    assert shell.files() == before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("target:", "targte: x\ntarget:"), r"plan.yaml:\d+: unknown key 'targte'.* 'target'"),
        (("kind: number", "kind: nomber"), r"plan.yaml:\d+: .*nomber"),
        (("nullable: false", "nullabel: false"), r"plan.yaml:\d+: .*'nullabel'.*'nullable'"),
        (("version: 1", "version: [1"), r"plan.yaml:\d+: not readable as YAML"),
        (("target: income", "target: incom"), r"no column 'incom'. Did you mean 'income'"),
        (("path: people.csv", "path: gone.csv"), r"no file 'gone.csv'"),
        (("name: age\n", "name: agee\n"), r"no column 'agee', which table .* mean 'age'"),
    ],
)  # fmt: skip
def test_plans_that_cannot_be_carried_out(
    shell: Shell, edit: tuple[str, str], message: str
) -> None:
    assert shell("inspect", "people.csv", "-o", "plan.yaml").code == 0
    plan = shell.folder / "plan.yaml"
    text = plan.read_text() + "target: income\n"
    assert edit[0] in text
    plan.write_text(text.replace(*edit, 1))
    before = shell.files()
    answer = shell("run", "plan.yaml", "--no-dp", "--out", "out")
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert re.search(message, answer.err), answer.err
    assert shell.files() == before


def test_words_the_command_line_does_not_know(shell: Shell) -> None:
    unknown = shell("rnu", "people.csv")
    assert (unknown.code, unknown.out) == (2, "")
    assert "No such command 'rnu'. Did you mean 'run'?" in unknown.err
    option = shell("run", "people.csv", "--tagret", "income")
    assert (option.code, option.out) == (2, "")
    assert "--target" in option.err
    assert shell("run").code == 2
    assert shell("run", "people.csv", "--seed", "x").code == 2
    assert shell("run", "people.csv", "--threads", "0").code == 2


LIMITED = (
    "import resource, signal, sys\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    "sys.argv[0] = 'understudy'\n"
    "from understudy.cli import main\n"
    "main()\n"
)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("sample", "{model}", "-n", "5000", "-o", "out.csv"), "out.csv"),
        (("sample", "{model}", "-n", "5000", "-o", "out.parquet"), "out.parquet"),
        (("inspect", "people.csv", "-o", "deep/plan.yaml"), "deep/plan.schema.json"),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing(
    shell: Shell, model: Path, words: tuple[str, ...], name: str
) -> None:
    """A limit on the size of files stands for the disk that is full."""
    before = shell.files()
    asked = [word.replace("{model}", str(model)) for word in words]
    done = subprocess.run([sys.executable, "-c", LIMITED, *asked], capture_output=True, text=True)
    _is_one_paragraph(Answer(done.returncode, done.stdout, done.stderr))
    assert f"could not write {name}" in done.stderr
    assert "Nothing was left half-written" in done.stderr
    assert shell.files() == before


def test_a_real_process_says_the_same(shell: Shell) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "run", "gone.csv", "--no-dp"],
        capture_output=True,
        text=True,
    )
    _is_one_paragraph(Answer(done.returncode, done.stdout, done.stderr))
    assert not (shell.folder / "runs").exists()
