"""Predicting, evaluating and comparing with finished runs."""

import json

import pytest

from tests.tiny import sentences, write_csv
from tunesmith.core.errors import DataError
from tunesmith.workflow import predict as predicting
from tunesmith.workflow.predict import predict_file


class Killed(BaseException):
    """Stands for whatever ends a process between two chunks."""


def leave_part(out, content, predictor, source):
    """Leave what an interrupted job leaves: the first bytes of `out`, and which job it was."""
    part = out.with_name(out.name + ".part")
    part.write_bytes(content)
    job = predicting._job(predictor, str(source))
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
    assert predict_file(predictor, "./a.csv", out=out) == 40
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
    source = write_csv(tmp_path / "a.csv", sentences(5), header=("body", "label"))
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
