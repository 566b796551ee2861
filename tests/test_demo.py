import csv
from collections import Counter
from importlib.resources import as_file, files

from tunesmith.recipe.compose import compose
from tunesmith.workflow.prepare import prepare


def test_the_sample_is_varied_and_has_something_for_the_check_to_say():
    with as_file(files("tunesmith.samples") / "support.csv") as path:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        recipe, _ = compose(file=None, overrides=[], arguments={"data.path": [str(path)]})
        found = prepare(recipe)
    assert len(rows) >= 600
    assert (found.task.text, found.task.label) == ("message", "intent")
    assert len(Counter(row["intent"] for row in rows).most_common(8)) == 8
    set_aside = found.ledger.counts("set aside")
    assert {"no label", "no text", "exact duplicate"} <= set(set_aside)
    topics = {note.topic for note in found.notes}
    assert {"label variants", "conflicting labels"} <= topics
    beginnings = Counter(
        " ".join(row["message"].lower().split()[:4]) for row in rows if len(row["message"].split()) > 4
    )
    assert beginnings.most_common(1)[0][1] <= 6
