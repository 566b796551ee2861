"""The commands of the guide's pages do what the pages say, typed one after the other."""

import pytest

from tests.guide import PAGES, blocks
from tests.guide_run import assert_shown, run_page
from tests.tiny import tiny_bert

TYPED_BEFORE = {
    "use": ["tunesmith train support.csv"],
    "numbers": ["tunesmith train support.csv", "tunesmith train support.csv --seed 1"],
    "techniques": [
        f"tunesmith train news.{one} news.{other} --task translation --out runs/{one}-{other}-1"
        for one, other in (("en", "de"), ("de", "en"))
    ],
}
"""What a page takes for granted."""
SHOWING = [page.stem for page in PAGES if any(block.run for block in blocks(page, "console"))]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("models") / "tiny", max_tokens=128)


@pytest.mark.parametrize("name", SHOWING)
def test_a_page_can_be_followed(name, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = next(page for page in PAGES if page.stem == name)
    assert run_page(page, tmp_path, model=model, before=TYPED_BEFORE.get(name, ()))


def test_what_is_shown_and_not_printed_is_found():
    assert_shown(["a  1", "…", "c …"], "a 1\nb\nc 3\n")
    for shown in (["b", "a 1"], ["c"], ["d …"]):
        with pytest.raises(AssertionError, match="was not printed"):
            assert_shown(shown, "a 1\nb\nc 3\n")
