"""`tunesmith convert`: there and back between the formats of one task, and what a format can't hold is said."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tunesmith.cli.main import app
from tunesmith.core.errors import DataError
from tunesmith.data.convert import convert

CONLL = """-DOCSTART-\tO

EU\tB-ORG
rejects\tO
U.S.\tB-LOC
lamb\tO
.\tO

Peter\tB-PER
Blackburn\tI-PER

-DOCSTART-\tO

BRUSSELS\tB-LOC
1996-08-22\tO

"""


def put(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def reasons(done):
    return sorted({entry.reason for entry in done.entries})


def there_and_back(source, middle, back, *, to="", back_to=""):
    """Convert `source` to `middle` and that to `back`; return both results, and whether the content is the same."""
    one = convert([str(source)], middle, to=to)
    other = convert([str(middle)], back, to=back_to)
    return one, other, back.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("to", ["doccano", "spacy", "prodigy", "tokens"])
def test_columns_of_words_come_back_from_every_export(tmp_path, to):
    source = put(tmp_path, "a.conll", CONLL)
    one, other, same = there_and_back(source, tmp_path / "b.jsonl", tmp_path / "c.conll", to=to)
    assert (one.source, one.target, one.n_rows) == ("conll", to, 3)
    assert (other.source, other.target) == (to, "conll")
    assert same
    assert not one.entries + other.entries
    assert not any(note.level == "warning" for note in one.notes + other.notes)
    assert not list(tmp_path.glob("*.changes.jsonl"))


def test_a_word_a_row_too(tmp_path):
    source = put(tmp_path, "a.conll", CONLL.replace("-DOCSTART-\tO\n\n", ""))
    one, other, same = there_and_back(source, tmp_path / "b.csv", tmp_path / "c.conll", to="word-rows")
    assert same
    assert not one.entries + other.entries


def test_words_that_columns_can_not_hold(tmp_path):
    rows = [{"tokens": ["New\tYork", "", " a"], "tags": ["B-X", "O", "O"]}, {"tokens": ["b"], "tags": ["O"]}]
    done = convert([str(put(tmp_path, "a.jsonl", lines(rows)))], tmp_path / "b.conll")
    assert (tmp_path / "b.conll").read_text() == "New York\tB-X\n_\tO\na\tO\n\nb\tO\n\n"
    assert reasons(done) == ["white space in a word"]


def test_label_studio_too(tmp_path):
    source = put(tmp_path, "a.conll", CONLL)
    assert there_and_back(source, tmp_path / "b.json", tmp_path / "c.conll")[2]
    task = json.loads((tmp_path / "b.json").read_text())[0]
    assert task["annotations"][0]["result"][0]["value"] == {"start": 0, "end": 2, "text": "EU", "labels": ["ORG"]}


def test_other_columns_of_words_are_kept(tmp_path):
    source = put(tmp_path, "a.conll", "EU\tNNP\tI-NP\tB-ORG\nsays\tVBZ\tI-VP\tO\n\n")
    assert there_and_back(source, tmp_path / "b.jsonl", tmp_path / "c.conll")[2]


def test_other_schemes_become_iob2_and_repairs_are_listed(tmp_path):
    source = put(tmp_path, "a.conll", "New B-LOC\nYork E-LOC\n\nBonn S-LOC\n\nUlm I-LOC\n\n")
    one, _, _ = there_and_back(source, tmp_path / "b.jsonl", tmp_path / "c.conll")
    assert reasons(one) == ["I- without B-"]
    assert [note.topic for note in one.notes] == ["scheme"]
    assert (tmp_path / "c.conll").read_text() == "New\tB-LOC\nYork\tI-LOC\n\nBonn\tB-LOC\n\nUlm\tB-LOC\n\n"
    changes = rows_of(tmp_path / "b.jsonl.changes.jsonl")
    assert [(c["row"], c["kind"], c["detail"]) for c in changes] == [(6, "changed", "Ulm I-LOC → B-LOC")]


TEXT = "Anna lives  in New York.\nBob (Bonn) left."
ROWS = [
    {"text": TEXT, "label": [[0, 4, "PER"], [15, 23, "LOC"], [31, 34, "LOC"]], "id": 3},
    {"text": "Ann", "label": []},
]


def test_texts_with_spans_become_words(tmp_path):
    done = convert([str(put(tmp_path, "a.jsonl", lines(ROWS)))], tmp_path / "b.conll")
    blocks = (tmp_path / "b.conll").read_text().strip().split("\n\n")
    assert blocks[0] == "-DOCSTART-\tO"
    assert blocks[1].splitlines()[-3:] == ["New\tB-LOC", "York\tI-LOC", ".\tO"]
    assert blocks[2].splitlines()[2] == "Bonn\tB-LOC"
    assert blocks[3:] == ["-DOCSTART-\tO", "Ann\tO"]
    assert reasons(done) == ["spaces between words are not kept by CoNLL columns", "span widened to whole words"]
    assert [note.message for note in done.notes] == ["columns that CoNLL columns can't hold are left out: id"]


@pytest.mark.parametrize("to", ["spacy", "prodigy", "label-studio"])
def test_span_exports_lose_nothing_among_themselves(tmp_path, to):
    source = put(tmp_path, "a.jsonl", lines(ROWS))
    one, other, _ = there_and_back(source, tmp_path / "b.json", tmp_path / "c.jsonl", to=to, back_to="doccano")
    back = rows_of(tmp_path / "c.jsonl")
    assert [{name: row[name] for name in row if name != "word_places"} for row in back] == ROWS
    assert not one.entries + other.entries


def test_brat(tmp_path):
    source = put(tmp_path, "a.jsonl", lines([{"text": row["text"], "label": row["label"]} for row in ROWS]))
    done = convert([str(source)], tmp_path / "docs")
    assert [path.name for path in done.files] == ["00001.ann", "00001.txt", "00002.ann", "00002.txt"]
    assert (tmp_path / "docs" / "00001.txt").read_text() == TEXT
    convert([str(tmp_path / "docs")], tmp_path / "back.jsonl")
    back = rows_of(tmp_path / "back.jsonl")
    assert [(row["text"], row["label"]) for row in back] == [(row["text"], row["label"]) for row in ROWS]
    assert [row["doc"] for row in back] == ["00001", "00002"]


def test_brat_of_columns_has_a_file_a_document(tmp_path):
    done = convert([str(put(tmp_path, "a.conll", CONLL))], tmp_path / "docs")
    folder = tmp_path / "docs"
    assert (folder / "00001.txt").read_text() == "EU rejects U.S. lamb .\nPeter Blackburn"
    assert (folder / "00001.ann").read_text().splitlines()[2] == "T3\tPER 23 38\tPeter Blackburn"
    assert any("not words" in note.message for note in done.notes)
    convert([str(folder)], tmp_path / "back.conll")
    text = (tmp_path / "back.conll").read_text()
    assert text.count("-DOCSTART-") == 2
    assert "Peter\tB-PER\nBlackburn\tI-PER\n\n" in text


def test_brat_labels_names_and_line_breaks(tmp_path):
    rows = [
        {"text": "New\nYork", "label": [[0, 8, "big city"]], "doc": "a/b"},
        {"text": "x", "label": [], "doc": "a b"},
        {"text": "y", "label": [], "doc": 7},
    ]
    done = convert([str(put(tmp_path, "a.jsonl", lines(rows)))], tmp_path / "docs")
    names = sorted(path.name for path in (tmp_path / "docs").glob("*.ann"))
    assert names == ["00007.ann", "a_b.ann", "a_b_2.ann"]
    assert (tmp_path / "docs" / "a_b.ann").read_text() == "T1\tbig_city 0 3;4 8\tNew York\n"
    assert any("no labels with spaces" in note.message for note in done.notes)
    back = convert([str(tmp_path / "docs" / "a_b.ann")], tmp_path / "back.jsonl")
    assert rows_of(tmp_path / "back.jsonl")[0]["label"] == [[0, 8, "big_city"]]
    assert not back.entries


CONTEXT = "Anna met Bob."
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "People",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "1",
                            "question": "Who?",
                            "level": 3,
                            "answers": [{"text": "Bob", "answer_start": 9}] * 2,
                            "is_impossible": False,
                        },
                        {"id": "2", "question": "When?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


def test_squad_comes_back_from_flat_rows(tmp_path):
    source = put(tmp_path, "a.json", SQUAD)
    done = convert([str(source)], tmp_path / "b.jsonl")
    assert (done.source, done.target) == ("squad", "qa")
    assert rows_of(tmp_path / "b.jsonl")[0]["answers"] == {"text": ["Bob", "Bob"], "answer_start": [9, 9]}
    back = convert([str(tmp_path / "b.jsonl")], tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text()) == SQUAD
    assert not done.entries + back.entries


def test_mended_answers_are_listed(tmp_path):
    rows = [{"question": "Who?", "context": CONTEXT, "answers": {"text": ["Bob", "Eve"], "answer_start": [7, 0]}}]
    done = convert([str(put(tmp_path, "a.jsonl", lines(rows)))], tmp_path / "b.json")
    assert reasons(done) == ["answer moved", "answer not in the context"]
    assert json.loads((tmp_path / "b.json").read_text())["version"] == "1.1"
    assert done.files[-1] == tmp_path / "b.json.changes.jsonl"


def test_pairs_in_all_their_forms(tmp_path):
    one = put(tmp_path, "t.en", 'Hello & "bye"\nTwo <b>\n')
    other = put(tmp_path, "t.de", "Hallo\nZwei\n")
    assert convert([str(one), str(other)], tmp_path / "a.tmx").target == "tmx"
    assert convert([str(tmp_path / "a.tmx")], tmp_path / "b.tsv").target == "tsv"
    assert (tmp_path / "b.tsv").read_text().splitlines()[0] == "en\tde"
    assert convert([str(tmp_path / "b.tsv")], tmp_path / "c.jsonl", to="pairs").source == "tsv"
    last = convert([str(tmp_path / "c.jsonl")], tmp_path / "u", to="parallel")
    assert sorted(path.name for path in last.files) == ["u.de", "u.en"]
    assert (tmp_path / "u.en").read_bytes() == one.read_bytes()
    assert (tmp_path / "u.de").read_bytes() == other.read_bytes()


def test_pairs_without_languages(tmp_path):
    source = put(
        tmp_path,
        "a.jsonl",
        lines([{"source": "a\nb", "target": "c\td", "id": 1}, {"source": "e\u0001", "target": "f"}]),
    )
    done = convert([str(source)], tmp_path / "b.tsv")
    assert (tmp_path / "b.tsv").read_text() == "source\ttarget\na b\tc d\ne\u0001\tf\n"
    assert reasons(done) == ["line break or tab became a space"]
    assert any("left out: id" in note.message for note in done.notes)
    done = convert([str(source)], tmp_path / "b.tmx")
    assert reasons(done) == ["character that XML does not allow"]
    convert([str(tmp_path / "b.tmx")], tmp_path / "c.jsonl")
    assert rows_of(tmp_path / "c.jsonl") == [{"source": "a\nb", "target": "c\td"}, {"source": "e", "target": "f"}]
    done = convert([str(source)], tmp_path / "d", to="parallel")
    assert [path.name for path in done.files] == ["d.src", "d.tgt", "d.changes.jsonl"]
    assert reasons(done) == ["line break became a space"]


def test_prompts_and_chat(tmp_path):
    source = put(tmp_path, "a.jsonl", lines([{"prompt": "Hi", "completion": "Hello", "id": 1}]))
    assert convert([str(source)], tmp_path / "b.jsonl").target == "chat"
    assert convert([str(tmp_path / "b.jsonl")], tmp_path / "c.jsonl", to="prompts").source == "chat"
    assert (tmp_path / "c.jsonl").read_bytes() == source.read_bytes()


def test_conversations_of_several_turns_are_no_prompts(tmp_path):
    user, assistant = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
    system = {"role": "system", "content": "Be kind."}
    rows = [
        {"messages": [user, assistant]},
        {"messages": [system, user, assistant]},
        {"messages": [user, assistant] * 2},
    ]
    done = convert([str(put(tmp_path, "a.jsonl", lines(rows)))], tmp_path / "b.jsonl", to="prompts")
    assert [row["prompt"] for row in rows_of(tmp_path / "b.jsonl")] == ["Hi", "Be kind.\n\nHi"]
    assert reasons(done) == ["not one question and one answer", "system message put before the prompt"]
    assert [entry.row for entry in done.entries] == [2, 3]


def test_splits_are_written_apart(tmp_path):
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        put(tmp_path / "set", f"{split}.conll", CONLL)
    done = convert([str(tmp_path / "set")], tmp_path / "out.jsonl")
    assert [path.name for path in done.files] == ["out.test.jsonl", "out.train.jsonl"]


def test_nothing_is_overwritten(tmp_path):
    source = put(tmp_path, "a.conll", CONLL)
    put(tmp_path, "b.jsonl", "mine")
    put(tmp_path, "c.jsonl.changes.jsonl", "mine")
    (tmp_path / "docs").mkdir()
    for out in ("b.jsonl", "c.jsonl", "docs", "a.conll"):
        with pytest.raises(DataError, match="there already"):
            convert([str(source)], tmp_path / out)
    assert (tmp_path / "b.jsonl").read_text() == "mine"
    assert not (tmp_path / "c.jsonl").exists()
    assert not list((tmp_path / "docs").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "out", "to", "message"),
    [
        ("a.conll", CONLL, "b.xyz", "", "not clear what .* --to with one of: brat, spacy, conll"),
        ("a.conll", CONLL, "b.json", "squad", "can't become squad, which is for question-answering"),
        ("a.conll", CONLL, "b.jsonl", "conl", 'did you mean "conll"'),
        ("a.csv", "text,label\na b,x\nc d,y\n", "b.conll", "", "needs words with tags, or text with spans"),
        ("a.csv", "text,label\na b,x\nc d,y\n", "b.jsonl", "", "not clear what"),
        ("a.csv", "text,label\na b,x\nc d,y\n", "b.tmx", "", "columns here: text, label"),
    ],
)
def test_mistakes_name_a_fix(tmp_path, name, content, out, to, message):  # noqa: PLR0917
    source = put(tmp_path, name, content)
    done = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / out), *(["--to", to] if to else [])])
    assert done.exit_code != 0
    assert not (tmp_path / out).exists()
    assert re.search(message, str(done.exception))


def test_the_command_says_what_it_did(tmp_path):
    source = put(tmp_path, "a.conll", "New I-LOC\nYork E-LOC\n\nUlm B-LOC\n\nBonn B-LOC\nis O\n\n")
    done = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "b.jsonl")], catch_exceptions=False)
    said = done.output
    assert "conll → doccano: 3 rows read" in said
    assert "1  changed: I- without B-" in said
    assert "1  changed: stray E- or S-" in said
    assert f"wrote {tmp_path / 'b.jsonl'}\n" in said
    assert f"wrote {tmp_path / 'b.jsonl'}.changes.jsonl" in said


def test_help_is_quick_and_has_examples():
    code = "import sys\nfrom tunesmith.cli import main\nprint([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    done = CliRunner().invoke(app, ["convert", "--help"])
    assert "tunesmith convert train.conll train.jsonl" in done.output
    assert "label-studio" in done.output
