"""Token vectors of every family, as objectives see and change them: texts first, each its own."""

import pytest
import torch

from tests.families.build import FAMILIES
from tests.families.test_models import CLASSIFIERS, TEXTS, batch_of
from tunesmith.models.classifier import head_of
from tunesmith.models.vectors import Seen, features_seen, of_texts, vectors_changed, vectors_seen


@pytest.mark.parametrize(
    ("name", "pooling"), [*((name, "auto") for name in CLASSIFIERS), *((name, "mean") for name in FAMILIES)]
)
def test_token_vectors_are_those_of_each_text(name, pooling, load):
    model, tokenizer = load(name, pooling=pooling)
    inputs, seen = batch_of(tokenizer, TEXTS), Seen()
    mask = inputs["attention_mask"]
    with vectors_seen(model, seen, mask):
        logits = model(**inputs).logits
    assert seen.vectors.shape[:2] == inputs["input_ids"].shape
    n_tokens = mask.sum(dim=1)
    row = int(n_tokens.argmin())
    logits[row].square().sum().backward()
    reached = seen.vectors.grad.abs().sum(dim=2) > 0
    assert not reached[torch.arange(len(TEXTS)) != row].any()
    assert reached[row].any()
    assert n_tokens[row] < mask.shape[1]
    assert not reached[row, n_tokens[row] :].any(), "padding says nothing"
    keep = (torch.arange(len(TEXTS)) != 1)[:, None, None]
    with torch.no_grad(), vectors_changed(model, lambda vectors: vectors * keep, mask):
        changed = model(**inputs).logits
    same = torch.isclose(changed, logits, rtol=1e-4, atol=1e-6).all(dim=1)
    assert same.tolist() == [i != 1 for i in range(len(TEXTS))]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_features_are_one_vector_a_text_whatever_stands_beside_it(name, load):
    """The own heads of decoders score each token before they choose the last one."""
    model, tokenizer = load(name)
    model.eval()

    def features(texts):
        inputs, seen = batch_of(tokenizer, texts), Seen()
        with torch.no_grad(), features_seen(head_of(model), seen):
            model(**inputs)
        return of_texts(seen.features, inputs["attention_mask"])

    together = features(TEXTS)
    assert together.ndim == 2
    for text, mine in zip(TEXTS, together, strict=True):
        torch.testing.assert_close(features([text])[0], mine, rtol=1e-3, atol=1e-4)
