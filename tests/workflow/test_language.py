"""Language models: masks, prompts, windows and packing are exact; what is learnt is kept, measured and used."""

import dataclasses
import json
import math
import shutil

import numpy as np
import pytest
import torch
import transformers

import tunesmith as ts
from tests.tiny import BAD, GOOD, sentences, write_csv
from tests.tiny_writers import END, grammar, tiny_writer, write_rows, write_text
from tunesmith.core.errors import DataError, ModelError
from tunesmith.core.seed import seed_all
from tunesmith.data.table import Table
from tunesmith.engine import checkpoint
from tunesmith.engine.batch import collate
from tunesmith.engine.device import Device
from tunesmith.engine.loop import Setup, train_steps
from tunesmith.engine.optim import make_optimizer
from tunesmith.engine.plan import Plan
from tunesmith.engine.spec import TrainSpec
from tunesmith.models.masking import FIXED, mask, word_numbers
from tunesmith.models.source import Source
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer
from tunesmith.models.vocabulary import RowsEmbedding, train_rows_of
from tunesmith.tasks.fill_mask import FillMask
from tunesmith.tasks.language import IGNORED, LEARNT
from tunesmith.tasks.text_generation import TextGeneration
from tunesmith.workflow.compare import compare
from tunesmith.workflow.evaluate import evaluate
from tunesmith.workflow.predict import predict_file

SETTINGS = {
    "train.length": "50 steps", "train.step_size": "512 tokens", "train.lr": 5e-3, "evaluate.resamples": 20,
    "data.duplicates": "keep", "data.near_duplicates": "off", "data.split.dev": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("language")


@pytest.fixture(scope="module")
def texts(folder):
    return write_text(folder / "texts.txt", grammar(250))


@pytest.fixture(scope="module")
def writer(folder):
    return tiny_writer(folder / "tiny-gpt2")


@pytest.fixture(scope="module")
def masked(tiny, texts, folder):
    return ts.train(texts, model=str(tiny), out=folder / "fill-1", settings={**SETTINGS, "task.kind": "fill-mask"})


@pytest.fixture(scope="module")
def written(writer, texts, folder):
    settings = {**SETTINGS, "task.kind": "text-generation", "task.max_new_tokens": 8, "train.lr": 2e-2}
    return ts.train(texts, model=str(writer), out=folder / "write-1", settings=settings)


@pytest.fixture(scope="module")
def completed(tiny, folder):
    parts = [text.rsplit(" ", 2) for text in grammar(200, most=3)]
    rows = [{"prompt": prompt, "completion": f"{word} {film}"} for prompt, word, film in parts]
    data = write_rows(folder / "pairs.jsonl", rows)
    settings = {**SETTINGS, "data.split.test": 0.2, "train.lr": 1e-2}
    return ts.train(data, model=str(tiny), out=folder / "complete-1", settings=settings)


def ready(task, source, **texts):
    """Return a task with what it takes from a tokenizer, and that tokenizer."""
    tokenizer = load_tokenizer(Source("tiny", source), ModelSpec())
    return task.with_tokenizer(tokenizer, Table({}))


def measured(task, table):
    return task.usable(table, clean=str, spec=None, split="train").table


def before(run):
    return run.run.metrics["baselines"]["before"]["values"]["perplexity"]["value"]


# Masks.


def test_words_are_masked_whole_and_nothing_else_is():
    words = word_numbers([None, 0, 0, 1, 2, 2, 2, None, 3])
    assert words.tolist() == [FIXED, 1, 1, 2, 3, 3, 3, FIXED, 5]
    ids = np.arange(100, 109)
    for seed in range(200):
        found = mask(ids, words, share=0.3, mask_id=1, others=np.arange(200, 300), seed=seed)
        chosen = found.targets != IGNORED
        assert found.n == chosen.sum() >= 2
        assert not chosen[words == FIXED].any()
        for word in set(words[words != FIXED].tolist()):
            assert len(set(chosen[words == word])) == 1
        assert (found.targets[chosen] == ids[chosen]).all() and (found.ids[~chosen] == ids[~chosen]).all()


def test_the_shares_are_those_of_bert():
    n = 20_000
    found = mask(np.full(n, 7), np.arange(n), share=0.15, mask_id=1, others=np.arange(50, 99), seed=3)
    shown = found.ids[found.targets != IGNORED]
    assert found.n == round(0.15 * n)
    assert np.mean(shown == 1) == pytest.approx(0.8, abs=0.03)
    assert np.mean(shown == 7) == pytest.approx(0.1, abs=0.03)


def test_a_script_without_spaces_is_masked_token_by_token():
    words = word_numbers([0] * 40)
    assert len(set(words.tolist())) == 40
    assert mask(np.arange(40), words, share=0.15, mask_id=1, others=np.arange(9), seed=0).n == 6


def test_masks_are_a_function_of_the_seed_and_windows_share_no_target(tiny):
    task, tokenizer = ready(FillMask(text="text"), tiny)
    table = measured(task, Table.of({"text": [" ".join(grammar(9, most=4)), "the good film"]}))
    examples = task.encode(table, tokenizer)
    assert [example.ids for example in examples] == [example.ids for example in task.encode(table, tokenizer)]
    assert len(examples) > 3
    one, same, other = (task.fresh(examples[0], seed=seed) for seed in (5, 5, 6))
    assert (one.ids, one.target) == (same.ids, same.target) != (other.ids, other.target)
    assert one.weight == sum(token != IGNORED for token in one.target)
    # Chosen all at once, the targets of the windows are the text, each token once.
    everything = task.model_copy(update={"mask_share": 0.999})
    whole = [everything.fresh(example, seed=1) for example in examples if example.row == 0]
    targets = [token for example in whole for token in example.target if token != IGNORED]
    assert targets == tokenizer.ids(list(table["text"]))[0]
    special = {tokenizer.plain.cls_token_id, tokenizer.plain.sep_token_id}
    assert all(not special & set(example.target) for example in whole)


def make(task, source, texts, *, length="8 steps"):
    task, tokenizer = ready(task, source)
    examples = task.encode(measured(task, Table.of({"text": texts})), tokenizer)
    fields = {"length": length, "step_size": "256 tokens", "tokens_per_batch": 128, "lr": 1e-3, "layer_decay": 1.0}
    spec = TrainSpec(**fields, head_lr_factor=1.0, device="cpu")
    seed_all(0, "head")
    model = task.build(Source("tiny", source), ModelSpec())
    device = Device(spec)
    model, optimizer = device.prepare(model, make_optimizer(model, spec))
    setup = Setup(task, spec, device, model, optimizer, examples, tokenizer.pad_id)
    lengths = np.array([len(example.ids) for example in examples])
    return setup, Plan(lengths, np.ones(len(lengths)), length, "256 tokens", 128, 0)


@pytest.mark.parametrize("task", [FillMask(text="text"), TextGeneration(text="text", form="text", label="none")])
def test_eight_steps_are_three_and_five_resumed_bit_for_bit(task, tiny, tmp_path):
    whole, plan = make(task, tiny, grammar(60))
    losses = [report.loss for report in train_steps(whole, plan)]
    first, _ = make(task, tiny, grammar(60))
    steps = train_steps(first, plan)
    for _ in range(3):
        next(steps)
    path = checkpoint.save(tmp_path, first.model, first.optimizer, step=3, state={})
    resumed, _ = make(task, tiny, grammar(60))
    torch.manual_seed(99)
    checkpoint.load(path, resumed.model, resumed.optimizer)
    assert [report.loss for report in train_steps(resumed, plan, start=3)] == losses[3:]
    a, b = (checkpoint.weights(setup.model) for setup in (whole, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_perplexity_falls_and_the_model_before_stands_beside(masked):
    assert before(masked) > 30  # of 40 tokens
    assert masked.metrics["perplexity"] < 9
    assert set(masked.metrics) == {"perplexity", "token_accuracy"}
    baselines = masked.run.metrics["baselines"]
    assert masked.metrics["perplexity"] < baselines["unigram"]["values"]["perplexity"]["value"]
    assert masked.run.metrics["verdict"]["worth_it"] == "yes"
    assert any("without a head over its vocabulary" in note.message for note in masked.run.notes)


def test_masks_are_filled_as_transformers_fills_them(masked):
    text = f"the {GOOD[0]} [MASK] film the [MASK] {BAD[1]} film"
    said, plain = masked.predict([text, "nothing to fill"])
    pipe = transformers.pipeline("fill-mask", str(masked.run.model_folder), top_k=5)
    for mine, theirs in zip(said.fills, pipe(text), strict=True):
        assert [fill["token"] for fill in mine] == [fill["token_str"] for fill in theirs]
        assert [fill["score"] for fill in mine] == pytest.approx([fill["score"] for fill in theirs], abs=1e-4)
    assert said.text.split()[2] == said.fills[0][0]["token"]
    assert said.text.split()[5] == said.fills[1][0]["token"]
    assert "[MASK]" not in said.text and (plain.text, plain.fills) == ("nothing to fill", [])


def test_every_mask_of_a_long_text_is_filled_once(masked):
    words = " ".join(grammar(12, most=4)).split()
    words[::3] = ["[MASK]"] * len(words[::3])
    (said,) = masked.predict([" ".join(words)])
    assert len(said.fills) == len(words[::3])
    assert "[MASK]" not in said.text


def test_a_masked_model_is_the_start_of_a_classifier(masked, tmp_path):
    data = write_csv(tmp_path / "reviews.csv", sentences(60))
    settings = {"train.length": "2 steps", "evaluate.resamples": 5, "data.split.dev": 0}
    run = ts.train(data, model=str(masked.folder), out=tmp_path / "run", settings=settings)
    assert json.loads((run.run.model_folder / "tunesmith.json").read_text())["base_model"] == "fill-1"
    task = run.predictor.task
    source = Source("fill-1", masked.run.model_folder)
    trained = transformers.AutoModelForMaskedLM.from_pretrained(source.folder).bert.encoder.state_dict()
    start = task.build(source, ModelSpec(pooling="first")).bert.encoder.state_dict()
    assert all(torch.equal(start[name], trained[name]) for name in trained)


# Writing.


@pytest.mark.parametrize("room", [5, 8, 32])
def test_each_token_is_predicted_once_from_what_stands_before(writer, room):
    task, tokenizer = ready(TextGeneration(text="text", form="text", label="none"), writer)
    tokenizer = dataclasses.replace(tokenizer, max_tokens=room)
    texts = [" ".join(grammar(6, most=3)), "the", grammar(1)[0]]
    table = measured(task, Table.of({"text": texts}))
    examples = task.encode(table, tokenizer)
    assert all(len(example.ids) <= room for example in examples)
    for row, ids in enumerate(tokenizer.ids(texts)):
        mine = [example for example in examples if example.row == row]
        targets = [token for example in mine for token in example.target if token != IGNORED]
        assert targets == [*ids, tokenizer.plain.eos_token_id]
        for example in mine:
            follows = [*example.ids[1:], example.target[-1]]
            assert all(t in (IGNORED, after) for t, after in zip(example.target, follows, strict=True))


def test_only_completions_carry_loss(writer):
    task, tokenizer = ready(TextGeneration(text="prompt", label="completion", form="prompts"), writer)
    table = Table.of({"prompt": ["the good bad", "the\n"], "completion": ["film the", "film"]})
    one, other = task.encode(measured(task, table), tokenizer)
    decode = tokenizer.plain.decode
    assert decode([token for token in one.target if token != IGNORED]) == " film the" + END
    assert decode([token for token in other.target if token != IGNORED]) == "film" + END
    assert decode(one.ids) == END + "the good bad film the"
    (prompt, _) = task.encode(table.named({"prompt": "prompt"}), tokenizer)
    assert one.ids[: len(prompt.ids)] == prompt.ids


def test_only_the_assistant_carries_loss(writer):
    task, tokenizer = ready(TextGeneration(text="messages", label="none", form="chat"), writer)
    said = [("system", "the film"), ("user", "good"), ("assistant", "bad film"), ("user", "the"), ("assistant", "film")]
    messages = [{"role": role, "content": content} for role, content in said]
    tokenizer = dataclasses.replace(tokenizer, max_tokens=100)
    (example,) = task.encode(measured(task, Table.of({"messages": [messages]})), tokenizer)
    learnt = "".join(tokenizer.plain.decode([t]) if t != IGNORED else "#" for t in example.target)
    assert [part for part in learnt.split("#") if part] == [f" bad film{END}", f" film{END}"]
    prompt = tokenizer.plain.decode(task.encode(Table.of({"messages": [json.dumps(messages[:2])]}), tokenizer)[0].ids)
    assert prompt == f"{END}system: the film\nuser: good\nassistant:"
    assert task.n_bytes(measured(task, Table.of({"messages": [messages]}))) == [len("bad film") + len("film")]


@pytest.mark.parametrize("family", ["gpt2", "llama", "bert"])
def test_packed_rows_are_read_as_if_they_were_apart(family, tiny, tmp_path):
    source = tiny if family == "bert" else tiny_writer(tmp_path / family, family=family, dropout=0.0)
    apart, tokenizer = ready(TextGeneration(text="text", form="text", label="none"), source)
    packed = apart.model_copy(update={"pack": True})
    table = measured(apart, Table.of({"text": grammar(9, seed=3)}))
    batch = collate(apart.encode(table, tokenizer), apart, pad_id=tokenizer.pad_id)
    assert batch.weights.max() > 2 * batch.weights.min()
    model = packed.build(Source("tiny", source), ModelSpec(dropout=0.0)).train()
    losses, gradients = [], []
    for task in (apart, packed):
        model.zero_grad()
        loss = task.loss(task.forward(model, batch), batch)
        loss.backward()
        losses.append(loss.item())
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(*gradients, strict=True))


def test_a_family_that_mixes_packed_rows_is_refused(tmp_path):
    config = transformers.RobertaConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    source = tiny_writer(tmp_path / "roberta")
    transformers.RobertaModel(config).save_pretrained(source)
    task, _ = ready(TextGeneration(text="text", form="text", label="none", pack=True), source)
    with pytest.raises(ModelError, match="can't be packed"):
        task.build(Source("tiny", source), ModelSpec())


def test_logits_are_computed_where_they_count(written):
    task, tokenizer = written.predictor.task, written.predictor.tokenizer
    table = Table.of({"text": grammar(5), LEARNT: grammar(5)})
    examples = task.encode(table, tokenizer)
    some = [dataclasses.replace(e, target=[IGNORED, *e.target[1:-1], IGNORED]) for e in examples]
    batch = collate(some, task, pad_id=tokenizer.pad_id)
    logits = task.forward(written.predictor.model, batch).logits
    wanted = batch.targets != IGNORED
    assert logits.shape[0] == wanted.sum() < wanted.numel()
    assert torch.allclose(logits, written.predictor.model(**batch.inputs).logits[wanted], atol=1e-5)


def test_it_writes_what_it_learnt_as_transformers_does(written):
    assert before(written) > 50
    assert written.metrics["perplexity"] < 4
    assert 0 < written.metrics["bits_per_byte"] < 1
    prompts = ["the great", "the cold film the", f"the {GOOD[3]} {BAD[3]} film"]
    pipe = transformers.pipeline("text-generation", str(written.run.model_folder))
    assert pipe.model.generation_config.max_new_tokens == 8
    for prompt, said in zip(prompts, written.predict(prompts), strict=True):
        assert pipe(prompt)[0]["generated_text"] == prompt + said.text
        assert written.predict([prompt]) == [said]


def test_an_encoder_becomes_a_decoder_that_completes(completed):
    task = completed.predictor.task
    assert (task.text, task.label, task.form) == ("prompt", "completion", "prompts")
    assert completed.run.origins["task.kind"]["reason"] == 'there are columns "prompt" and "completion"'
    assert any("becomes a causal decoder" in note.message for note in completed.run.notes)
    assert type(completed.predictor.model).__name__ == "BertLMHeadModel"
    assert completed.metrics["perplexity"] < 3
    rows = list(completed.run.predictions("test"))
    said = completed.predict([row["text"] for row in rows])
    assert np.mean([one.text == row["gold"] for one, row in zip(said, rows, strict=True)]) > 0.9
    pipe = transformers.pipeline("text-generation", str(completed.run.model_folder))
    generated = pipe(rows[0]["text"], return_full_text=False)[0]["generated_text"]
    assert generated.strip() == said[0].text


def test_what_is_drawn_is_drawn_again_for_the_same_prompt(written):
    settings = written.predictor.model.generation_config
    settings.update(do_sample=True, temperature=3.0)
    try:
        prompts = ["the good", "the great", "the good"]
        first, second, third = (said.text for said in written.predict(prompts))
        assert first == third
        assert [said.text for said in written.predict(prompts[1:])] == [second, third]
    finally:
        settings.update(do_sample=False, temperature=None)


def test_losses_are_those_of_the_plain_model(written):
    texts = ["the good bad film", "the warm cold film"]
    table = Table.of({"text": texts, LEARNT: texts})
    tokenizer = written.predictor.tokenizer.plain
    for text, said in zip(texts, written.predictor.answers(table), strict=True):
        ids = torch.tensor([[*tokenizer(text)["input_ids"], tokenizer.eos_token_id]])
        with torch.inference_mode():
            mean = float(written.predictor.model(ids, labels=ids).loss)
        assert said.tokens == ids.shape[1] - 1
        assert said.loss == pytest.approx(mean * said.tokens, rel=1e-4)
        assert said.n_bytes == len(text)


# Every way of use.


def test_evaluate_predict_and_compare(masked, written, texts, tmp_path):
    new = write_text(tmp_path / "new.txt", grammar(30, seed=7))
    for run in (masked, written):
        found = evaluate(run.run, [str(new)], resamples=5)
        assert found.metrics["n_rows"] == 30
        assert found.metrics["values"]["perplexity"]["value"] < 12
        twin = shutil.copytree(run.folder, tmp_path / run.folder.name)
        (pair,) = compare([run.run, ts.load(twin).run], [str(new)])["pairs"]
        assert pair["value"] == 0 and pair["metric"] == "perplexity"
    with pytest.raises(DataError, match="compare"):
        compare([masked.run, written.run], [str(new)])
    prompts = write_csv(tmp_path / "prompts.csv", [("the good", "1"), ("", "2")], header=("text", "id"))
    assert predict_file(written.predictor, str(prompts), out=tmp_path / "out.jsonl").n_rows == 2
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert rows[0]["predicted"] == written.predict(["the good"])[0].text and rows[1]["predicted"] is None


def test_predictions_say_how_much_each_row_surprised(written):
    rows = list(written.run.predictions("test"))
    loss, tokens = sum(row["predicted"] for row in rows), sum(row["tokens"] for row in rows)
    assert math.exp(loss / tokens) == pytest.approx(written.metrics["perplexity"])
    assert all(row["gold"] is None for row in rows)


@pytest.mark.parametrize("name", ["masked", "written", "completed"])
def test_report_and_card_speak_of_a_language_model(name, request):
    run = request.getfixturevalue(name)
    card = (run.run.model_folder / "README.md").read_text()
    report = run.report.read_text()
    assert "language model" in card and "Perplexity" in card
    assert "classifier" not in card + report and "Class by class" not in report
    assert f'pipeline("{run.predictor.task.kind}"' in card and f"pipeline(&#34;{run.predictor.task.kind}" in report
    assert "unigram" in report and "before" in report


def test_texts_alone_are_ambiguous_and_the_error_names_both_tasks(texts, tiny):
    with pytest.raises(DataError, match="a classifier needs labels") as raised:
        ts.train(texts, model=str(tiny))
    assert "--task fill-mask" in raised.value.problems[0].fix
    assert "--task text-generation" in raised.value.problems[0].fix


def test_conversations_are_recognised_and_rows_that_teach_nothing_set_aside(writer, tmp_path):
    turns = [("user", "the good"), ("assistant", "bad film")]
    good = {"messages": [{"role": role, "content": content} for role, content in turns]}
    rows = [{"messages": [*good["messages"], {"role": "user", "content": f"the {i}"}]} for i in range(30)]
    data = write_rows(tmp_path / "chat.jsonl", [*rows, {"messages": good["messages"][:1]}])
    settings = {**SETTINGS, "train.length": "2 steps", "data.split.dev": 0}
    run = ts.train(data, model=str(writer), out=tmp_path / "run", settings=settings)
    assert run.predictor.task.form == "chat"
    assert run.run.ledger.counts("set aside") == {"the assistant says nothing": 1}
    assert isinstance(run.predict(["the good"])[0].text, str)
    assert run.predict([{"messages": good["messages"][:1]}]) == run.predict(["the good"])


def test_shared_word_vectors_are_trained_whole(writer, tiny):
    for task, source in (
        (TextGeneration(text="text", form="text", label="none"), writer),
        (FillMask(text="text"), tiny),
    ):
        model = ready(task, source)[0].build(Source("tiny", source), ModelSpec())
        train_rows_of(model, [[5, 6]])
        assert not any(isinstance(module, RowsEmbedding) for module in model.modules())
        assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_a_model_without_a_mask_token_does_not_fill_masks(writer):
    with pytest.raises(ModelError, match="no mask token"):
        ready(FillMask(text="text"), writer)
