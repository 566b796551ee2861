"""What is said after an arrow or "fix:" can be pasted into a shell, or is plainly a sentence."""

import ast
import re
from pathlib import Path

import pytest

import tunesmith
from tests.guide import settings, settings_of_several

SOURCE = Path(tunesmith.__file__).parent
SETTINGS = settings() | settings_of_several()


def literal(node):
    """Return the texts an expression may give, "0" standing for each value put into them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "0" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [*literal(node.body), *literal(node.orelse)]
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in literal(value)]
    return []


def fixes():
    """Yield file, line and text of every fix that is written in the source."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = []
            if isinstance(node, ast.Assign) and [getattr(t, "id", "") for t in node.targets] == ["fix"]:
                found = [node.value]
            elif isinstance(node, ast.Call):
                found = [word.value for word in node.keywords if word.arg == "fix"]
                is_note = getattr(node.func, "id", "") == "Note"
                found += node.args[3:4] if is_note else []
            yield from ((path.name, node.lineno, text) for one in found for text in literal(one))


def wrong(text):
    """Return what can be mistaken: a setting that stands alone, a name that is none, a value to be filled in."""
    sections = "|".join(sorted({key.split(".")[0] for key in SETTINGS if "." in key}))
    if re.match(rf"(?:{sections})\.[a-z]", text):
        return "begins with a setting, without --set or words"
    for key, value in re.findall(r"--set (\S+?)(?:=(\S*)|(?=[\s,]|$))", text):
        if "0" not in key and key not in {*SETTINGS, "section.name"}:
            return f"there is no {key}"
        if not value or re.match(r"[A-Z]{2}|\.\.", value):
            return f"{key} has no value"
    return ""


def test_fixes_can_be_pasted():
    found = list(fixes())
    assert len(found) > 150
    assert [one for one in found if wrong(one[2])] == []


@pytest.mark.parametrize(
    "text",
    ["data.split", "task.long_text: windows or head", "--set data.encoding=NAME", "--set task.text_pair=...",
     "--set data.splt.test=0.3", "name others with --set task.question, task.context"],
)  # fmt: skip
def test_the_check_fails_on_what_cannot_be_pasted(text):
    assert wrong(text)
