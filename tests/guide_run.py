"""Runs the guide: the commands of a page in order, in a folder of stand-in files, as a reader would type them.

A tiny model and two updates stand for the real ones; nothing else is changed. What is below a comment
`<!-- not run: why -->` is left out, what is below `<!-- stops: message -->` must be refused with that message.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

import tunesmith as ts
from tests import guide_files
from tests.guide import Block, blocks, commands, parse
from tunesmith.cli.main import app
from tunesmith.core.errors import TunesmithError
from tunesmith.samples import SAMPLES
from tunesmith.workflow import ablate

FILE = re.compile(r"[\w./-]+")
NAMED = re.compile(r"# (\S+\.yaml)\n")
"""How a recipe on a page begins that the page's commands name."""
STOPS = re.compile(r"<!-- stops: ([^>]*) -->\s*\Z")
SETTINGS = ("train.length=2 steps", "evaluate.resamples=5", "evaluate.baselines=false")
QUICK = [word for setting in SETTINGS for word in ("--set", setting)]
TOLD_EXACTLY = {"check", "convert"}
"""What these print is compared with what the page shows: it depends on the data alone."""


class Typed(NamedTuple):
    """Attributes: a line as it was typed; the file that goes into its pipe, or ""; tunesmith's own arguments."""

    line: str
    piped: str
    arguments: list[str]

    @classmethod
    def of(cls, line: str) -> Typed:
        """Read a line such as "cat FILE | tunesmith predict RUN -"."""
        before, _, after = line.rpartition("tunesmith ")
        piped = re.fullmatch(r"(?:cat (\S+) \| )?", before)
        if not after or piped is None:
            raise ValueError(f"not known how to run this; mark it as not run: {line}")
        return cls(line, piped[1] or "", shlex.split(after))

    @property
    def name(self) -> str:
        """The command."""
        return self.arguments[0]

    def files(self) -> Iterator[str]:
        """Yield what may name a file to read: all words, those in settings among them, but not what is written."""
        values = parse(self.arguments).params
        written = {str(values.get(name)) for name in ("out", "fix")}
        for word in [self.piped, *self.arguments[1:]]:
            yield from (name for name in FILE.findall(word) if name not in written)


def run_page(page: Path, folder: Path, *, model: Path, before: Sequence[str] = ()) -> list[str]:
    """Run the console blocks of a page in a folder, which must be the current one, and the Python that follows them.

    Args:
        page: of the guide.
        folder: empty, or with what the page takes for granted.
        model: a tiny one, where the page names none.
        before: commands that a reader of the page has typed already.

    Returns:
        What was run.

    Raises:
        AssertionError: a command fails, or prints something else than the page shows.
    """
    text, done = page.read_text(encoding="utf-8"), []
    for line in before:
        _stand_in(Typed.of(line).files(), page, folder)
        _invoke(Typed.of(line), folder, model=model)
    for block in blocks(page, "console", "yaml", "python"):
        if named := NAMED.match(block.text):
            (folder / named[1]).write_text(block.text, encoding="utf-8")
            _stand_in(FILE.findall(block.text), page, folder)
        if block.follows:
            _execute(block, page, folder, model=model)
            done.append(block.text)
            continue
        stops = STOPS.search("".join(text.splitlines(keepends=True)[: block.line - 1]))
        for line in commands(block) if block.run and block.language == "console" else ():
            typed = Typed.of(line)
            _stand_in(typed.files(), page, folder)
            said = _invoke(typed, folder, model=model, stops=stops[1] if stops else "")
            if typed.name in TOLD_EXACTLY:
                assert_shown(_shown(block, line), said)
            done.append(line)
    return done


def _stand_in(names: Iterable[str], page: Path, folder: Path) -> None:
    """Write the files of these names that are not there already."""
    for name in names:
        if not (folder / name).exists():
            guide_files.write(name, page.name, folder)


def _invoke(typed: Typed, folder: Path, *, model: Path, stops: str = "") -> str:
    arguments = [*typed.arguments, *_quick(typed, model=model)]
    given = (folder / typed.piped).read_text(encoding="utf-8") if typed.piped else None
    try:
        with quickly(model):
            result = CliRunner().invoke(app, arguments, input=given, catch_exceptions=False)
    except TunesmithError as error:
        assert stops and stops in str(error), f"{typed.line}\n{error}"
        return str(error)
    assert not stops, f"{typed.line}\nis not refused"
    assert result.exit_code == 0, f"{typed.line}\n{result.output}"
    return result.output


def _execute(block: Block, page: Path, folder: Path, *, model: Path) -> None:
    """Run Python of a page, with a quick `train_several`."""
    settings = {"model.source": str(model), **dict(setting.split("=") for setting in SETTINGS)}
    _stand_in(FILE.findall(block.text), page, folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ts, "train_several", partial(ts.train_several, settings=settings), raising=False)
        exec(compile(block.text, f"{block.page}:{block.line}", "exec"), {})


@contextmanager
def quickly(model: Path) -> Iterator[None]:
    """Let `demo`, which takes no settings, find quick ones in its samples, and `ablate` start no processes."""
    settings = {"model.source": str(model), **dict(setting.split("=") for setting in SETTINGS)}
    with pytest.MonkeyPatch.context() as patched:
        for name, sample in SAMPLES.items():
            patched.setitem(SAMPLES, name, sample._replace(settings={**sample.settings, **settings}))
        patched.setattr(ablate, "_run", _in_this_process)
        yield


def _in_this_process(command: list[str], _log: Path) -> int:
    """Run a `python -m tunesmith ...`; return its exit status."""
    return CliRunner().invoke(app, command[3:], catch_exceptions=False).exit_code


def _quick(typed: Typed, *, model: Path) -> list[str]:
    """Return what makes a command quick: a tiny model, two updates, few resamples."""
    own_model = [] if "--model" in typed.arguments else ["--model", str(model)]
    more = {"train": QUICK, "ablate": [*QUICK, "--seeds", "0"], "lr-find": ["--steps", "20"]}.get(typed.name)
    return [] if more is None else [*own_model, *more]


def _shown(block: Block, line: str) -> list[str]:
    """Return what a page shows below a command."""
    _, _, after = block.text.partition(f"$ {line}\n")
    return after.partition("$ ")[0].splitlines()


def assert_shown(shown: list[str], said: str) -> None:
    """Check that the lines which a page shows were printed, in order; "…" stands for anything."""
    rest = said.splitlines()
    for line in shown:
        start = line.partition("…")[0].rstrip()
        if not start:
            continue
        place = next((i for i, one in enumerate(rest) if _same(one, start, whole="…" not in line)), None)
        assert place is not None, f"the page shows, and it was not printed (any more, here):\n{line}\n\n{said}"
        rest = rest[place + 1 :]


def _same(said: str, shown: str, *, whole: bool) -> bool:
    said, shown = " ".join(said.split()), " ".join(shown.split())
    return said == shown if whole else said.startswith(shown)
