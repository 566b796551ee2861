"""Predicting, evaluating and comparing with finished runs."""

import json
import shutil

import pytest

import tunesmith as ts
from tests.tiny import sentences, write_csv
from tests.workflow.small import write_table
from tunesmith.cli.measure import compare as compare_command
from tunesmith.cli.measure import compared_on
from tunesmith.core.errors import DataError, ModelError, RunError
from tunesmith.data.augment.given import BY, EDITED, FROM
from tunesmith.data.spec import DataSpec
from tunesmith.inference.predictor import Predictor
from tunesmith.inference.settings import load_settings
from tunesmith.run.folder import Run
from tunesmith.workflow import predict as predicting
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file


class Killed(BaseException):
    """Stands for whatever ends a process between two chunks."""


def leave_part(out, content, predictor, source, text=None):
    """Leave what an interrupted job leaves: the first bytes of `out`, and which job it was."""
    part = out.with_name(out.name + ".part")
    part.write_bytes(content)
    job = predicting._job(predictor, str(source), text, DataSpec())
    part.with_name(part.name + ".json").write_text(json.dumps(job))
    return part


def interrupt(predictor, source, out, monkeypatch):
    """Predict with chunks of 10 rows and end after the second."""
    monkeypatch.setattr(predicting, "CHUNK_ROWS", 10)
    seen = []

    def stop(rows):
        seen.append(rows)
        if len(seen) == 2:
            raise Killed

    with pytest.raises(Killed):
        predict_file(predictor, str(source), out=out, on_rows=stop)


def copied(trained, folder, **data):
    """Return a copy of the run whose recipe has other settings of the data's way."""
    shutil.copytree(trained.folder, folder)
    run = Run.open(folder)
    for key, value in data.items():
        lines = run.recipe_text.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith(f"  {key}:"))
        end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith(("   ", "  -")))
        run.save_recipe("\n".join([*lines[:start], f"  {key}: {json.dumps(value)}", *lines[end:]]) + "\n")
    return run


def written_otherwise(rows):
    """Return the rows with "pos" as "gut" or "POS." and "neg" as "NEG "."""
    return [(t, ("gut", "POS.")[i % 4 == 0] if v == "pos" else "NEG ") for i, (t, v) in enumerate(rows)]


def test_labels_are_read_as_the_run_read_them(trained, tmp_path):
    rows = sentences(30, seed=9)
    plain = write_csv(tmp_path / "plain.csv", rows)
    other = write_csv(tmp_path / "other.csv", [*written_otherwise(rows), ("good", "weg"), ("bad", "n/a")])
    run = copied(trained, tmp_path / "run", label_map={"gut": "pos"}, labels="merge_case", missing=["weg"])
    found, wanted = evaluate(run, [str(other)], resamples=20), evaluate(run, [str(plain)], resamples=20)
    assert found.metrics["values"] == wanted.metrics["values"]
    assert found.ledger.counts("set aside") == {"no label": 1, "label the model does not know": 1}
    assert found.ledger.counts("changed")["label rewritten"] > 0
    (foreign,) = [note for note in found.notes if note.topic == "unknown labels"]
    assert foreign.message == '1 row has a label the model does not know: "n/a"; not measured'
    as_written = evaluate(trained.run, [str(plain)], resamples=20)
    assert as_written.metrics["n_rows"] == 30


def test_edited_rows_are_not_measured(trained, tmp_path):
    rows = [(f"{text} {i}", label) for i, (text, label) in enumerate(sentences(20, seed=9))]
    plain = write_csv(tmp_path / "plain.csv", rows)
    edited = [(text, label, f"plain.csv:{i}", "") for i, (text, label) in enumerate(rows, 2)]
    edited += [(f"{text} again", label, place, "insert") for text, label, place, _ in edited]
    both = write_table(tmp_path / "both.csv", ("text", "label", FROM, BY), edited)
    found, wanted = (evaluate(trained.run, [str(path)], resamples=20) for path in (both, plain))
    assert found.metrics["values"] == wanted.metrics["values"]
    assert found.ledger.counts("set aside") == {EDITED: 20}
    assert (found.n_read, wanted.n_read) == (40, 20)


def test_runs_are_compared_with_labels_read_by_their_own_recipes(trained, tmp_path):
    other = write_csv(tmp_path / "other.csv", written_otherwise(sentences(30, seed=9)))
    run = copied(trained, tmp_path / "merging", label_map={"gut": "pos"}, labels="merge_case")
    run.update_manifest({"name": "merging"})
    with pytest.raises(DataError, match="no row has a text and a label the model knows"):
        compare([run, trained.run], [str(other)])
    twin = copied(trained, tmp_path / "twin", labels="merge_case")
    twin.update_manifest({"name": "twin"})
    found = compare([run, twin], [str(other)])
    assert found["n_rows"] == 15 + 8  # "gut" is no label of the twin's


def test_columns_may_be_named_otherwise(trained, tmp_path):
    rows = sentences(20, seed=4)
    wanted = evaluate(trained.run, [str(write_csv(tmp_path / "a.csv", rows))], resamples=20).metrics["values"]
    cased = write_csv(tmp_path / "b.csv", rows, header=("Text", " LABEL"))
    assert evaluate(trained.run, [str(cased)], resamples=20).metrics["values"] == wanted
    named = write_csv(tmp_path / "c.csv", rows, header=("Body of it", "kind"))
    found = evaluate(trained.run, [str(named)], text="body_of_it", label="kind", resamples=20)
    assert found.metrics["values"] == wanted
    predict_file(trained.predictor, str(named), out=tmp_path / "out.csv", text="BODY OF IT")
    assert (tmp_path / "out.csv").read_text().startswith("Body of it,kind,predicted,")
    with pytest.raises(DataError, match=r'"text", which is not here.*--text(.|\n)*"label".*--label'):
        evaluate(trained.run, [str(named)])
    with pytest.raises(DataError, match='did you mean "kind"'):
        evaluate(trained.run, [str(named)], text="body_of_it", label="kinds")


def test_the_column_is_part_of_the_job(trained, tmp_path, monkeypatch):
    source = tmp_path / "a.csv"
    source.write_text("text,more\n" + "good day,bad night\n" * 40)
    interrupt(trained.predictor, source, tmp_path / "out.csv", monkeypatch)
    with pytest.raises(DataError, match="another column"):
        predict_file(trained.predictor, str(source), out=tmp_path / "out.csv", text="more")


def test_a_part_file_is_continued_by_its_own_job_only(trained, tmp_path, monkeypatch):
    a = write_csv(tmp_path / "a.csv", sentences(40, seed=1))
    b = write_csv(tmp_path / "b.csv", sentences(40, seed=2))
    out, predictor = tmp_path / "out.csv", trained.predictor
    interrupt(predictor, a, out, monkeypatch)
    left = (tmp_path / "out.csv.part").read_bytes()
    assert len(left.splitlines()) == 21
    with pytest.raises(DataError, match=r"out\.csv\.part.*made from .*a\.csv.*fix: "):
        predict_file(predictor, str(b), out=out)
    with pytest.raises(DataError, match="can't be read again"):
        predict_file(predictor, "-", out=out)
    other = predictor.settings.model_copy(update={"temperature": 3.0})
    with monkeypatch.context() as patched:
        patched.setattr(predictor, "settings", other)
        with pytest.raises(DataError, match="another model"):
            predict_file(predictor, str(a), out=out)
    assert (tmp_path / "out.csv.part").read_bytes() == left
    monkeypatch.chdir(tmp_path)  # the same file under another name for its path
    assert predict_file(predictor, "./a.csv", out=out).n_rows == 40
    predict_file(predictor, str(a), out=tmp_path / "whole.csv")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.csv", "out.csv", "whole.csv"]


def test_a_changed_input_or_an_unknown_part_file_is_refused(trained, tmp_path, monkeypatch):
    a, out = write_csv(tmp_path / "a.csv", sentences(40, seed=1)), tmp_path / "out.csv"
    interrupt(trained.predictor, a, out, monkeypatch)
    write_csv(a, sentences(41, seed=1))
    with pytest.raises(DataError, match="has changed since"):
        predict_file(trained.predictor, str(a), out=out)
    (tmp_path / "out.csv.part.json").unlink()
    with pytest.raises(DataError, match="not known which job"):
        predict_file(trained.predictor, str(a), out=out)
    assert (tmp_path / "out.csv.part").exists()


def test_a_job_that_fails_before_its_first_row_leaves_nothing(trained, tmp_path):
    source = write_csv(tmp_path / "a.csv", sentences(5), header=("what", "label"))
    with pytest.raises(DataError, match="not here"):
        predict_file(trained.predictor, str(source), out=tmp_path / "deep" / "out.csv")
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_part_file_with_only_a_header_gets_no_second_one(trained, tmp_path):
    source = write_csv(tmp_path / "a.csv", sentences(5))
    predict_file(trained.predictor, str(source), out=tmp_path / "whole.csv")
    whole = (tmp_path / "whole.csv").read_bytes()
    leave_part(tmp_path / "out.csv", whole[: whole.index(b"\n") + 1], trained.predictor, source)
    predict_file(trained.predictor, str(source), out=tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == whole


def test_the_same_file_is_the_same_however_its_path_was_written(trained, reviews, tmp_path):
    run = copied(trained, tmp_path / "other")
    run.update_manifest({"name": "other"})
    rename_file(run, str(reviews), f"./elsewhere/{reviews.name}")
    found = compare([trained.run, run])
    n = len(list(trained.run.predictions("test")))
    assert found["rows"] == {trained.run.name: n, "other": n}
    assert compared_on(found) == f"on the same {n} rows"


def rename_file(run, old, new, *, sha256=None):
    """Make a run one that was trained on the file `new`."""
    data = [{**s, "file": new, "sha256": sha256 or s["sha256"]} for s in run.manifest["data"] if s["file"] == old]
    assert data
    run.update_manifest({"data": data})
    for split in ("dev", "test"):
        run.write_predictions(split, [{**row, "file": new} for row in list(run.predictions(split))])


def test_rows_of_different_files_are_the_same_by_text_and_the_shares_are_said(trained, reviews, tmp_path):
    run = copied(trained, tmp_path / "more")
    run.update_manifest({"name": "more"})
    rename_file(run, str(reviews), "more.csv", sha256="0" * 64)
    rows = list(run.predictions("test"))
    moved = [{**row, "row": row["row"] + 1000} for row in rows]
    wrong = "pos" if rows[0]["gold"] == "neg" else "neg"
    new = [{**rows[0], "text": f"unheard {i}"} for i in range(len(rows))]
    run.write_predictions("test", [{**moved[0], "gold": wrong}, *moved[1:], *new])
    found = compare([trained.run, run])
    n = len(rows)
    assert found["n_rows"] == n - 1
    assert found["rows"] == {trained.run.name: n, "more": 2 * n}
    said = compared_on(found)
    assert said.startswith(f"on the {n - 1} rows they share: 96% of the {n} of {trained.run.name}, ")
    assert said.endswith(f" of the {2 * n} of more")


def test_runs_of_one_name_are_told_apart_by_their_paths(trained, tmp_path):
    a, b = copied(trained, tmp_path / "a" / "x"), copied(trained, tmp_path / "b" / "x")
    found = compare([a, b])
    assert {entry["name"] for entry in found["ranking"]} == {str(a.folder), str(b.folder)}
    with pytest.raises(RunError, match="named twice"):
        compare([a, Run.open(tmp_path / "b" / ".." / "a" / "x")])


def test_runs_with_other_classes_are_not_compared(trained, tmp_path):
    run = copied(trained, tmp_path / "run")
    run.update_manifest({"name": "other"})
    settings = load_settings(run.model_folder)
    settings.model_copy(update={"task": {**settings.task, "labels": ["x", "y"]}}).save(run.model_folder)
    with pytest.raises(DataError, match="same classes"):
        compare([trained.run, run])


def test_rows_the_model_was_trained_on_are_said(trained, reviews, tmp_path):
    n = trained.run.manifest["rows"]["train"]
    copy = shutil.copy(reviews, tmp_path / "copy.csv")
    for path in (reviews, copy):
        note = evaluate(trained.run, [str(path)], resamples=20).notes[-1]
        assert note.level == "warning"
        assert note.message.startswith(f"{n} of 120 rows are in its training data")
        assert note.n_rows == n
    new = write_csv(tmp_path / "new.csv", sentences(30, seed=9))
    assert evaluate(trained.run, [str(new)], resamples=20).notes == []
    both = evaluate(trained.run, [str(new), str(reviews)], resamples=20)
    assert f"{n} of 150 rows" in both.notes[-1].message
    twin = copied(trained, tmp_path / "twin")
    found = compare([trained.run, twin], [str(reviews)])
    assert [note.message.split(":")[0] for note in found["notes"]] == [str(trained.folder), str(twin.folder)]


def test_rows_the_model_was_trained_on_are_found_in_other_files(trained, tmp_path):
    n = trained.run.manifest["rows"]["train"]
    loud = write_csv(tmp_path / "loud.csv", [(f"  {text.upper()}!", label) for text, label in sentences(120)])
    assert f"{n} of 120 rows are" in evaluate(trained.run, [str(loud)], resamples=20).notes[-1].message

    turned = {"pos": "neg", "neg": "pos"}
    other = write_csv(tmp_path / "other.csv", [(text, turned[label]) for text, label in sentences(120)])
    (note,) = evaluate(trained.run, [str(other)], resamples=20).notes
    assert note.level == "info"
    assert note.message == f"the texts of {n} of 120 rows are in its training data, with another answer or none"


def test_a_phrase_that_was_learnt_among_many_new_rows_is_no_warning(trained, tmp_path):
    learnt = next(row for row in sentences(120) if row[0] not in {one["text"] for one in held(trained.run)})
    rows = write_csv(tmp_path / "new.csv", [learnt, *sentences(120, seed=9)])
    (note,) = evaluate(trained.run, [str(rows)], resamples=20).notes
    assert (note.level, note.n_rows) == ("info", 1)


def held(run):
    return [row for split in ("dev", "test") for row in run.predictions(split)]


@pytest.mark.parametrize("item", [None, float("nan"), 5])
def test_what_is_no_text_is_not_predicted(item, trained):
    with pytest.raises(DataError, match="not a text"):
        trained.predict(["good day", item])


def test_a_model_folder_alone_predicts_and_can_be_measured(trained, tmp_path):
    alone = shutil.copytree(trained.run.model_folder, tmp_path / "handed")
    model = ts.load(alone)
    assert model.predict(["good day"]) == trained.predict(["good day"])
    for part in ("metrics", "intervals", "report"):
        with pytest.raises(RunError, match="without its run"):
            getattr(model, part)
    new = write_csv(tmp_path / "new.csv", sentences(30, seed=9))
    found = evaluate(Run.with_model(alone), [str(new)], resamples=20)
    assert found.metrics == evaluate(trained.run, [str(new)], resamples=20).metrics
    assert [note.topic for note in found.notes] == ["no recipe"]
    with pytest.raises(DataError, match="no test predictions"):
        compare([trained.run, Run.with_model(alone)])
    assert len(compare([trained.run, Run.with_model(alone)], [str(new)])["ranking"]) == 2


def test_the_model_folder_of_a_run_is_the_run(trained):
    model = ts.load(trained.run.model_folder)
    assert model.folder == trained.folder
    assert model.metrics == trained.metrics


def test_a_run_without_a_model_says_what_to_do(trained, tmp_path):
    run = copied(trained, tmp_path / "run")
    shutil.rmtree(run.model_folder)
    for folder in (run.folder, str(run.folder)):
        with pytest.raises(RunError, match=r"no model yet.*--resume"):
            ts.load(folder)
    with pytest.raises(ModelError, match=r"no model yet.*--resume .*run$"):
        Predictor.load(run.model_folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"no model of tunesmith's.*tunesmith\.json"):
        Predictor.load(tmp_path / "empty")
    with pytest.raises(RunError, match="not a run"):
        ts.load(tmp_path / "empty")


@pytest.mark.parametrize("name", ["said.parquet", "said.XLSX", "said.csv.gz", "said.tsv"])
def test_an_out_that_names_another_form_is_refused(trained, reviews, tmp_path, name):
    with pytest.raises(DataError, match=r"CSV or JSON Lines.*fix: --out .*said\.csv or --out .*said\.jsonl$"):
        predict_file(trained.predictor, str(reviews), out=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_none_is_no_text(trained, tmp_path):
    source = tmp_path / "new.jsonl"
    source.write_text('{"text": NaN, "label": "pos"}\n{"text": "good", "label": "pos"}\n')
    predict_file(trained.predictor, str(source), out=tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["predicted"] is None for row in rows] == [True, False]
    assert evaluate(trained.run, [str(source)], resamples=2).ledger.counts("set aside") == {"no text": 1}


def test_the_error_to_catch_is_in_the_package():
    from tunesmith.core.errors import TunesmithError

    assert ts.TunesmithError is TunesmithError
    assert "TunesmithError" in dir(ts)
    assert "TunesmithError" in ts.__doc__


def test_columns_are_named_for_a_file_only(trained, tmp_path):
    twin = copied(trained, tmp_path / "twin")
    with pytest.raises(RunError, match="are about --data"):
        compare_command([trained.folder, twin.folder], [], metric=None, text="text", label=None, settings=[])
