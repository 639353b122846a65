"""A folder with small tables and a shell in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.call import Shell


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """`people.csv` (60 rows: id, age, sex, income, mail) in an otherwise empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["id,age,sex,income,mail"]
    for i in range(60):
        sex, income = ("F", "M")[i % 2], ("low", "high")[int(rng.random() < 0.3)]
        lines.append(f"{i * 7 + 100},{rng.integers(18, 90)},{sex},{income},p{i}@example.org")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("UNDERSTUDY_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(folder, monkeypatch, capsys)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted model of the people."""
    import pyarrow as pa

    from understudy import TreeSynthesizer, read

    rng = np.random.default_rng(1)
    n = 200
    table = pa.table(
        {
            "id": rng.permutation(n) + 1000,
            "age": rng.integers(18, 90, n),
            "sex": np.where(rng.random(n) < 0.5, "F", "M"),
            "income": np.where(rng.random(n) < 0.2, "high", "low"),
        }
    )
    path = tmp_path_factory.mktemp("fitted") / "model"
    TreeSynthesizer(target="income", seed=1).fit(read(table, name="people")).save(path)
    return path
