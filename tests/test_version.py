"""The version is written in `headfit/__init__.py`; other files that must state it are checked against that."""

import re
from pathlib import Path

import pytest

from headfit import __version__, cli

ROOT = Path(__file__).parents[1]


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"headfit {__version__}\n"


def test_the_citation_states_it() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_it_is_the_newest_of_the_changelog() -> None:
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == __version__
