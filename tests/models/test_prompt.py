"""Prompts: tokens before every text, of which the vectors alone learn; saved, any tool puts them there."""

from functools import cache

import pytest
import torch
import transformers
from transformers import AutoTokenizer

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.tagged import rows, tiny_tagger, write_conll
from tests.tiny import sentences
from tests.workflow.small import resumed_and_opened, write_table
from tunesmith.core.errors import ModelError, RecipeError
from tunesmith.data.table import Table
from tunesmith.models.adapt import adapt, merge
from tunesmith.models.classifier import build_classifier, head_of, quiet
from tunesmith.models.padding import agree_on_padding
from tunesmith.models.prompt import add_vectors
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.models.vocabulary import make_plain
from tunesmith.tasks.text_classification import TextClassification

SHARING = ("BART", "mBART")
"""Families whose word vectors are of a class of their own."""
ABLE = [name for name in FAMILIES if name not in (*SHARING, "Marian", "Pegasus")]
PAIRS = (("the film was good",), ("so bad", "an awful day"))
SETTINGS = {"train.length": "20 steps", "train.lr": 1e-2, "evaluate.resamples": 20, "data.split.dev": 0.2,
            "model.adapt.kind": "prompt", "model.adapt.tokens": 4}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return a function from a family's name to the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: FAMILIES[name].write(folder / name))


def spec_of(n=3):
    return ModelSpec(adapt=AdaptSpec(kind="prompt", tokens=n))


def read(tokenizer, texts):
    """Return the ids the model reads in training."""
    parts = [tokenizer.ids([text])[0] for text in texts]
    return tokenizer.pieces(*parts, policy="head")[0]


def places(plain, texts):
    """Return where the tokens of the texts are in them."""
    found = plain(*texts, return_offsets_mapping=True, return_special_tokens_mask=True)
    both = zip(found["offset_mapping"], found["special_tokens_mask"], strict=True)
    return [place for place, is_special in both if not is_special]


@pytest.mark.parametrize("name", ABLE)
def test_the_saved_tokenizer_puts_the_prompt_where_training_had_it(checkpoint, tmp_path, name):
    source = Source(name, checkpoint(name))
    before, tokenizer = load_tokenizer(source, ModelSpec()), load_tokenizer(source, spec_of())
    assert tokenizer.room() == before.room() - 3, "texts have less room"
    tokenizer.plain.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for texts in PAIRS:
        plain, prompted = read(before, texts), read(tokenizer, texts)
        found = again(*texts)
        assert list(found["input_ids"]) == prompted.ids
        assert [token for token in prompted.ids if token not in tokenizer.prompt] == plain.ids
        at = prompted.ids.index(tokenizer.prompt[0])
        assert tuple(prompted.ids[at : at + 3]) == tokenizer.prompt
        assert at == len(before.frames[len(texts) - 1].ids[0])
        if prompted.types:
            assert found["token_type_ids"] == prompted.types
        mask = again(*texts, return_special_tokens_mask=True)["special_tokens_mask"]
        assert mask[at : at + 3] == [1, 1, 1]
        old, new = (places(one, texts) for one in (before.plain, again))
        assert old == new, "where tokens are in the text is as before"


@pytest.mark.parametrize("name", ABLE)
def test_the_vectors_of_the_prompt_learn_and_no_others(checkpoint, tmp_path, name):
    source = Source(name, checkpoint(name))
    tokenizer = load_tokenizer(source, spec_of())
    torch.manual_seed(0)
    model = build_classifier(source, ModelSpec(), ("a", "b"))
    agree_on_padding(model, tokenizer)
    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    ids = read(tokenizer, ["the film was good"]).ids
    add_vectors(model, tokenizer, [ids], seed=0)
    adapt(model, spec_of().adapt, head=head_of(model), prompt=tokenizer.prompt)
    batch = torch.tensor([ids])
    mask = torch.ones_like(batch)
    learns = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learns, lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        logits = model.train()(input_ids=batch, attention_mask=mask).logits
        torch.nn.functional.cross_entropy(logits, torch.tensor([1])).backward()
        optimizer.step()
    merge(model.eval())
    make_plain(model)
    table = next(n for n, p in model.named_parameters() if p is model.get_input_embeddings().weight)
    others = [i for i in range(len(start[table])) if i not in tokenizer.prompt]
    for n, parameter in model.named_parameters():
        if n == table:
            assert torch.equal(parameter[others], start[n][others])
        elif parameter not in set(head_of(model).parameters()) and not hasattr(parameter, "is_new"):
            assert torch.equal(parameter, start[n]), n
    vectors = model.get_input_embeddings().weight[list(tokenizer.prompt)]
    assert not torch.equal(vectors, torch.stack([vectors[0]] * 3))
    with quiet():
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path).eval()
    assert torch.allclose(
        again(input_ids=batch, attention_mask=mask).logits,
        model(input_ids=batch, attention_mask=mask).logits,
        atol=1e-6,
    )


def test_the_vectors_start_as_those_of_words_of_the_rows(tiny):
    tokenizer = load_tokenizer(Source("tiny", tiny), spec_of(5))
    texts = [read(tokenizer, ["good film"]).ids, read(tokenizer, ["sad book day"]).ids]
    tables = []
    for seed in (0, 0, 1):
        model = build_classifier(Source("tiny", tiny), ModelSpec(), ("a", "b"))
        add_vectors(model, tokenizer, texts, seed=seed)
        tables.append(model.get_input_embeddings().weight.detach())
    table = tables[0]
    drawn = {int((table[: min(tokenizer.prompt)] == table[i]).all(dim=1).nonzero()[0]) for i in tokenizer.prompt}
    assert drawn == {i for ids in tokenizer.ids(["good film", "sad book day"]) for i in ids}
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


def test_a_run_is_resumed_to_the_same_weights_and_opens_anywhere(tiny, tmp_path, monkeypatch):
    data, _ = resumed_and_opened(tiny, SETTINGS, tmp_path, monkeypatch)
    more = ts.train(data, model=str(tmp_path / "whole"), out=tmp_path / "more", settings=SETTINGS)
    tokens = AutoTokenizer.from_pretrained(more.run.model_folder)
    assert tokens.convert_ids_to_tokens(tokens("good")["input_ids"])[1:9] == [f"<prompt_{i}>" for i in range(8)]


def test_long_texts_have_less_room_and_what_is_cut_is_told(tiny):
    tokenizer = load_tokenizer(Source("tiny", tiny), spec_of(10))
    table = Table.of({"text": ["film " * 28], "label": ["a"]})
    task = TextClassification(text="text", label="label", text_pair="none", labels=("a", "b"), long_text="head")
    assert task.cut(table, tokenizer) == [28 + 2 + 10 - 32]
    windows = task.model_copy(update={"long_text": "windows"}).encode(table, tokenizer)
    assert len(windows) == 2
    assert all(tuple(one.ids[1:11]) == tokenizer.prompt for one in windows)


def test_words_are_found_behind_the_prompt(tmp_path):
    source, data = tiny_tagger(tmp_path / "source"), write_conll(tmp_path / "names.conll", rows(60))
    settings = {key: value for key, value in SETTINGS.items() if key != "data.split.dev"}
    run = ts.train(data, model=str(source), out=tmp_path / "run", settings={**settings, "data.split.dev": 0.15})
    pipe = transformers.pipeline("token-classification", str(run.run.model_folder), device="cpu")
    assert {one["word"] for one in pipe("the film was good", ignore_labels=[])} == {"the", "film", "was", "good"}


def test_answers_are_found_behind_the_prompt(tiny, tmp_path):
    header = ["question", "context", "answer"]
    made = [(f"was it {word}", f"the film was {word} and long", word) for word in ("good", "sad", "dull", "warm") * 8]
    data = write_table(tmp_path / "rows.csv", header, [(f"{q} {i}", c, a) for i, (q, c, a) in enumerate(made)])
    settings = {**SETTINGS, "task.kind": "question-answering"}
    run = ts.train(data, model=str(tiny), out=tmp_path / "run", settings=settings)
    said = run.predict([("was it good", "the film was good and long")])[0]
    assert said.text in "the film was good and long"


def test_what_can_have_no_prompt_is_refused(tiny, checkpoint, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("\n".join(text for text, _ in sentences(60)))
    for kind in ("fill-mask", "text-generation"):
        with pytest.raises(RecipeError, match="can't have a prompt") as raised:
            ts.train(notes, model=str(tiny), out=tmp_path / kind, settings={**SETTINGS, "task.kind": kind})
        assert raised.value.problems[0].where.column == "model.adapt.kind"
        assert not (tmp_path / kind).exists()
    with pytest.raises(RecipeError, match="none would be left for texts"):
        load_tokenizer(Source("tiny", tiny), spec_of(30))
    for name in SHARING:
        source = Source(name, checkpoint(name))
        tokenizer = load_tokenizer(source, spec_of())
        model = build_classifier(source, ModelSpec(), ("a", "b"))
        add_vectors(model, tokenizer, [[5, 6]], seed=0)
        with pytest.raises(ModelError, match=r"in several places.*kind=lora"):
            adapt(model, spec_of().adapt, head=head_of(model), prompt=tokenizer.prompt)
