"""Adapters beside the merged model: peft opens them on the source, and gives what the merged model gives."""

import json
import subprocess
import sys
from functools import cache

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

import tunesmith as ts
from tests.families.build import FAMILIES
from tests.tagged import rows, tiny_tagger, write_spans
from tests.tiny import sentences, write_csv
from tunesmith.core.errors import ModelError
from tunesmith.models.adapt import adapt, merge
from tunesmith.models.adapter import take
from tunesmith.models.classifier import build_classifier, divide_logits, head_of
from tunesmith.models.language import build_language_model
from tunesmith.models.seq2seq import build_seq2seq, new_parts
from tunesmith.models.source import Source
from tunesmith.models.spec import AdaptSpec, ModelSpec

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # peft asks for it
TEXTS = ["good lovely film", "awful sad book", "the day was long and so cold", "new"]
FRESH = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
adapter, source, model, texts = json.loads(sys.argv[1])
config = AutoConfig.from_pretrained(adapter)
base = AutoModelForSequenceClassification.from_pretrained(source, config=config)
tokens = AutoTokenizer.from_pretrained(model)(texts, padding=True, return_tensors="pt")
print(json.dumps(PeftModel.from_pretrained(base, adapter).eval()(**tokens).logits.tolist()))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Return a function from a family's name to the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: FAMILIES[name].write(folder / name))


def run_of(tmp_path, model, name="run", *, of=0, **settings):
    data = write_csv(tmp_path / f"{name}.csv", sentences(120, seed=of))
    usual = {"train.length": "30 steps", "train.lr": 5e-3, "evaluate.resamples": 20, "data.split.dev": 0.2}
    return ts.train(data, model=str(model), out=tmp_path / name, settings={**usual, **settings})


def logits(model, folder):
    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model.eval()(**tokens).logits


def merged(run):
    return logits(AutoModelForSequenceClassification.from_pretrained(run.run.model_folder), run.run.model_folder)


def base_of(folder, source):
    torch.manual_seed(3)
    return AutoModelForSequenceClassification.from_pretrained(source, config=AutoConfig.from_pretrained(folder))


def test_in_a_fresh_process_source_and_adapter_give_what_the_merged_model_gives(tiny, tmp_path):
    run = run_of(tmp_path, tiny, **{"model.adapt.kind": "lora"})
    adapter = run.run.adapter_folder
    settings = json.loads((adapter / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(tiny)
    assert "classifier" in settings["modules_to_save"]
    assert any(".layer.2." in name for name in settings["modules_to_save"]), "the layer that makes the mean"
    assert run.run.metrics["calibration"]["temperature"] != 1.0, "the head changes after training"
    given = json.dumps([str(adapter), str(tiny), str(run.run.model_folder), TEXTS])
    done = subprocess.run([sys.executable, "-c", FRESH, given], capture_output=True, text=True, check=True)
    found = torch.tensor(json.loads(done.stdout.splitlines()[-1]))
    assert torch.allclose(found, merged(run), atol=1e-5)
    assert not torch.allclose(found, logits(base_of(adapter, tiny), run.run.model_folder), atol=1e-2)


def test_adapters_of_several_runs_share_a_backbone(tiny, tmp_path):
    runs = [
        run_of(tmp_path, tiny, name, of=seed, **{"model.adapt.kind": "lora", "model.adapt.rank": rank, "seed": seed})
        for seed, (name, rank) in enumerate((("one", 2), ("two", 4)))
    ]
    one, two = (run.run.adapter_folder for run in runs)
    model = PeftModel.from_pretrained(base_of(one, tiny), one, adapter_name="one")
    model.load_adapter(two, adapter_name="two")
    answers = {}
    for name in ("one", "two", "one"):
        model.set_adapter(name)
        answers[name] = logits(model, runs[0].run.model_folder)
    for name, run in zip(answers, runs, strict=True):
        assert torch.allclose(answers[name], merged(run), atol=1e-5)
    assert not torch.allclose(answers["one"], answers["two"], atol=1e-2)


def shaken(model):
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
@pytest.mark.parametrize("name", ["RoBERTa", "DistilBERT", "GPT-2", "Llama", "T5", "DeBERTa-v2", "DeBERTa-v3"])
def test_the_adapter_fits_whatever_the_family(checkpoint, tmp_path, name, kind):
    source, spec = Source(name, checkpoint(name)), ModelSpec(source=str(checkpoint(name)), adapt=AdaptSpec(kind=kind))
    torch.manual_seed(0)
    model = build_classifier(source, spec, ("a", "b", "c")).eval()
    adapt(model, spec.adapt, head=head_of(model))
    shaken(model)
    found = take(model, source, spec, auto_class="AutoModelForSequenceClassification")
    merge(model)
    divide_logits(model, 1.7)
    found.save(tmp_path, model)
    ids = torch.tensor([[5, 7, 9, 1], [5, 8, 3, 1]])
    model.config.pad_token_id = 0
    adapted = PeftModel.from_pretrained(base_of(tmp_path, source.folder), tmp_path).eval()
    adapted.base_model.model.config.pad_token_id = 0
    with torch.inference_mode():
        assert torch.allclose(adapted(input_ids=ids).logits, model(input_ids=ids).logits, atol=1e-5)
    n_held = sum(tensor.numel() for tensor in load_file(tmp_path / "adapter_model.safetensors").values())
    assert n_held < 0.5 * sum(parameter.numel() for parameter in model.parameters())


def test_layers_that_start_anew_are_kept_whole(checkpoint, tmp_path):
    source = Source("BERT", FAMILIES["BERT"].write(tmp_path / "bert"))
    spec = ModelSpec(source=str(source.folder), reinit_layers=1, adapt=AdaptSpec(kind="lora"))
    torch.manual_seed(0)
    model = build_classifier(source, spec, ("a", "b")).eval()
    adapt(model, spec.adapt, head=head_of(model))
    learnt = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert "bert.encoder.layer.1.output.dense.weight" in learnt, "what is new learns"
    assert not [name for name in learnt if "layer.1" in name and "lora" in name]
    shaken(model)
    found = take(model, source, spec, auto_class="AutoModelForSequenceClassification")
    assert "bert.encoder.layer.1.output.dense" in found.settings.modules_to_save
    assert not [name for name in found.settings.target_modules if "layer.1" in name]


def test_a_family_whose_layers_are_not_found_is_refused(checkpoint):
    model = build_classifier(Source("ALBERT", checkpoint("ALBERT")), ModelSpec(), ("a", "b"))
    with pytest.raises(ModelError, match=r"no layers are found.*model.adapt.kind=adapter"):
        adapt(model, AdaptSpec(kind="lora"), head=head_of(model))


WRITERS = {
    "GPT-2": ("AutoModelForCausalLM", build_language_model),
    "BERT": ("AutoModelForMaskedLM", build_language_model),
    "T5": ("AutoModelForSeq2SeqLM", build_seq2seq),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_adapter_of_a_model_that_writes(checkpoint, tmp_path, name):
    kind, build = WRITERS[name]
    source, spec = Source(name, checkpoint(name)), ModelSpec(source=str(checkpoint(name)), adapt=AdaptSpec(kind="lora"))
    more = {"decoder_layers": None} if build is build_seq2seq else {"auto_class": kind}
    model = build(source, spec, **more).eval()
    adapt(model, spec.adapt, head=None)
    shaken(model)
    found = take(model, source, spec, auto_class=kind)
    merge(model)
    found.save(tmp_path, model)
    base = getattr(transformers, kind).from_pretrained(source.folder, config=AutoConfig.from_pretrained(tmp_path))
    ids = torch.tensor([[5, 7, 9, 1]])
    given = {"input_ids": ids, **({"decoder_input_ids": ids} if build is build_seq2seq else {})}
    with torch.inference_mode():
        again = PeftModel.from_pretrained(base, tmp_path).eval()(**given).logits
        assert torch.allclose(again, model(**given).logits, atol=1e-5)


def test_two_encoders_made_one_model_have_no_adapter(checkpoint):
    source, spec = Source("BERT", checkpoint("BERT")), ModelSpec(adapt=AdaptSpec(kind="lora"))
    model = build_seq2seq(source, spec, decoder_layers=1)
    adapt(model, spec.adapt, head=new_parts(model))
    assert take(model, source, spec, auto_class="AutoModelForSeq2SeqLM") is None


def test_where_nothing_is_the_sources_there_is_no_adapter(tiny, tmp_path):
    run = run_of(tmp_path, tiny, **{"model.adapt.kind": "lora", "model.weights": "random", "train.length": "4 steps"})
    assert not run.run.adapter_folder.exists()
    plain = run_of(tmp_path, tiny, "plain", **{"train.length": "4 steps"})
    assert not plain.run.adapter_folder.exists()


@pytest.mark.parametrize("crf", [True, False])
def test_an_adapter_for_words(tmp_path, crf):
    source, data = tiny_tagger(tmp_path / "source"), write_spans(tmp_path / "names.jsonl", rows(60))
    settings = {"train.length": "12 steps", "evaluate.resamples": 20, "task.kind": "ner", "task.crf": crf}
    settings["model.adapt.kind"] = "lora"
    run = ts.train(data, model=str(source), out=tmp_path / "run", settings={**settings, "train.lr": 5e-3})
    folder = run.run.adapter_folder
    base = AutoModelForTokenClassification.from_pretrained(source, config=AutoConfig.from_pretrained(folder))
    whole = AutoModelForTokenClassification.from_pretrained(run.run.model_folder)
    found, wanted = (logits(model, run.run.model_folder) for model in (PeftModel.from_pretrained(base, folder), whole))
    assert torch.allclose(found, wanted, atol=1e-5)
    if crf:
        steps = json.loads((run.run.model_folder / "tunesmith.json").read_text())["task"]["transitions"]
        assert any(any(row) for row in steps), "the steps from tag to tag are new: they learn"
