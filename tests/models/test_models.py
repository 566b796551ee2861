import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import torch
from transformers import PreTrainedModel

from tests.tiny import tiny_bert
from tunesmith.core.errors import ModelError
from tunesmith.models.classifier import build_classifier, head_of
from tunesmith.models.language import build_language_model
from tunesmith.models.source import Source, find
from tunesmith.models.spec import ModelSpec
from tunesmith.models.tokenize import load_tokenizer


def test_the_embedded_model_is_the_published_one():
    source = find(ModelSpec())
    assert source.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert load_tokenizer(source, ModelSpec()).max_tokens == 512


def test_mean_pooling_in_the_plain_class_is_the_mean(tiny):
    from transformers import AutoModel

    model = build_classifier(Source("tiny", tiny), ModelSpec(pooling="mean"), ("a", "b", "c")).eval()
    tokenizer = load_tokenizer(Source("tiny", tiny), ModelSpec())
    batch = tokenizer.plain(["good film", "the day was very cold and dark"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(tiny).eval()(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        wanted = torch.nn.functional.layer_norm(mean, (32,))
        found = model.bert(**batch).last_hidden_state[:, 0]
    assert torch.allclose(found, wanted, atol=0.02)
    assert type(model).__name__ == "BertForSequenceClassification"
    assert model.config.num_hidden_layers == 3
    assert head_of(model).out_features == 3


def test_windows_cover_every_token_and_overlap(tiny):
    tokenizer = load_tokenizer(Source("tiny", tiny), ModelSpec(), max_tokens=18)
    ids = list(range(100, 180))
    pieces = [piece.ids for piece in tokenizer.pieces(ids, policy="windows")]
    before, after = tokenizer.frames[0].ids
    bare = [piece[len(before) : len(piece) - len(after)] for piece in pieces]
    assert all(len(piece) <= 18 for piece in pieces)
    assert sorted({i for piece in bare for i in piece}) == ids
    assert all(set(a) & set(b) for a, b in pairwise(bare))
    assert tokenizer.pieces(ids, policy="head")[0].ids == [*before, *ids[:16], *after]
    assert tokenizer.pieces(ids, policy="head_tail")[0].ids == [*before, *ids[:4], *ids[-12:], *after]
    assert [p.ids for p in tokenizer.pieces(ids[:16], policy="windows")] == [[*before, *ids[:16], *after]]


@pytest.mark.parametrize(
    ("spoil", "message", "fix"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json", "config.json"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pickle", "weights_only=True"),
        (lambda f: (f / "model.safetensors").unlink(), "no .*safetensors", "download"),
        (
            lambda f: [(f / n).unlink() for n in ("tokenizer.json", "vocab.txt") if (f / n).exists()],
            "tokenizer",
            "copy",
        ),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused_with_a_way_out(tmp_path, spoil, message, fix):
    folder = tiny_bert(tmp_path / "model")
    spoil(folder)
    with pytest.raises(ModelError, match=message) as raised:
        find(ModelSpec(source=str(folder)))
    assert fix in raised.value.problems[0].fix


def test_unknown_names_are_refused():
    with pytest.raises(ModelError, match="no such model folder"):
        find(ModelSpec(source="./nowhere"))
    with pytest.raises(ModelError, match="neither a model folder nor a hub id"):
        find(ModelSpec(source="not a name!"))


def test_plain_transformers_gives_the_same_labels_in_a_fresh_process(trained):
    texts = ["good lovely film", "awful sad book", "the day was long", "happy warm and sweet"]
    code = (
        "import sys, json\nfrom transformers import pipeline\n"
        "p = pipeline('text-classification', sys.argv[1], device='cpu')\n"
        "assert 'tunesmith' not in sys.modules\n"
        "print(json.dumps([r['label'] for r in p(json.loads(sys.argv[2]))]))"
    )
    command = [sys.executable, "-c", code, str(trained.folder / "model"), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [p.label for p in trained.predict(texts)]


def test_models_opened_in_several_threads_leave_the_library_as_it_was(tiny):
    """Else no model opened later in the process has its weights tied: they stay without numbers."""
    before = PreTrainedModel.tie_weights
    source = find(ModelSpec(source=str(tiny)))

    def opened(_):
        return build_language_model(source, ModelSpec(), auto_class="AutoModelForMaskedLM")

    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(opened, range(24)))
    assert PreTrainedModel.tie_weights is before
    for model in models:
        assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
