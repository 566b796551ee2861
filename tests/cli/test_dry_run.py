"""A dry run refuses what a run would refuse before it reads the data."""

import pytest
from typer.testing import CliRunner

from tunesmith.cli.main import app
from tunesmith.core.errors import TunesmithError


def dry_run(*args):
    return CliRunner().invoke(app, ["train", *map(str, args), "--dry-run"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["{reviews}", "--out", "{run}"], "never overwritten"),
        (["{reviews}", "--model", "./nothing"], "no such model folder"),
        ([], "no data is named"),
        (["--resume", "{run}"], "leave out --dry-run or --resume"),
    ],
)
def test_it_is_refused_before_the_data_is_read(args, said, trained, reviews, monkeypatch):
    monkeypatch.setattr("tunesmith.workflow.prepare.prepare", lambda *_: pytest.fail("the data was read"))
    with pytest.raises(TunesmithError, match=said):
        dry_run(*(arg.format(reviews=reviews, run=trained.folder) for arg in args))
