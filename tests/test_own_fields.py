"""Fields and classes of a method's file that no run can have: said with the user's own names."""

import pytest
from test_resolve import METHOD, forget, written

from resparse.__main__ import main
from resparse.contract_process import check_apart
from resparse.errors import UsageError

__all__ = ["forget"]  # a fixture for this file as well
VALID = "; valid: a bool, int, float or str with a default value"
SECOND = "\nclass Other(Method):\n    pass\n"
LIST = "number: list = __import__('dataclasses').field(default_factory=list)"


@pytest.mark.parametrize(
    ("line", "has"),
    [
        ("number: float | None = None", "default None"),
        ("number: tuple = (1, 2)", "default (1, 2)"),
        (LIST, "a default_factory"),
        ("number: int", "no default"),
    ],
)
def test_a_field_without_a_plain_default_is_refused(tmp_path, capsys, line, has):
    file = written(tmp_path / "mine.py", METHOD.replace("number: int = 3", line))
    sentence = f"method mine: field number has {has}{VALID}"
    assert main(["run", str(file), "--runs", str(tmp_path / "runs")]) == 5
    assert capsys.readouterr().err == f"resparse: {sentence}\n"
    with pytest.raises(UsageError) as told:
        check_apart(str(file), tmp_path / "runs")
    assert str(told.value) == sentence


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (METHOD + SECOND, "2 Method classes; valid: one of Mine, Other"),
        ("from resparse.method import Method\n", "0 Method classes; valid: one"),
    ],
)
def test_two_methods_in_a_file_are_said_of_that_file(tmp_path, capsys, text, made):
    file = written(tmp_path / "mine.py", text)
    assert main(["run", str(file), "--runs", str(tmp_path / "runs")]) == 5
    assert capsys.readouterr().err == f"resparse: mine.py defines {made}\n"
