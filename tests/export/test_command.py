"""What the command line says about the formats."""

import pytest

from headfit.cli import main
from headfit.commands.export import FRAME_FORMATS, SCENE_FORMATS, TAKE_FORMATS
from headfit.export import FORMATS


def test_the_help_lists_every_format() -> None:
    assert f"{FRAME_FORMATS}, {TAKE_FORMATS}, {SCENE_FORMATS}".split(", ") == list(FORMATS)


@pytest.mark.parametrize("rate", ["0", "-3", "nan", "film"])
def test_a_rate_is_a_positive_number(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "RUN", "--out", "DIR", f"--fps={rate}"])
    assert "expected frames a second" in capsys.readouterr().err
