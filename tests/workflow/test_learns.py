"""What is marked to learn does, also in layers that are large enough for the fast forms of training on a CPU."""

import pytest

from tests.tiny import sentences, tiny_bert, write_csv
from tunesmith.engine.loop import train_steps
from tunesmith.recipe.compose import compose
from tunesmith.workflow.build import make_setup
from tunesmith.workflow.order import make_plan
from tunesmith.workflow.prepare import prepare
from tunesmith.workflow.resolve import resolve

WHICH = (
    {},
    {"train.freeze": ["backbone"]},
    {"train.freeze": ["embeddings", "*.weight"]},
    {"train.freeze": ["embeddings", "1 layers"]},
    *({"model.adapt.kind": kind} for kind in ("lora", "dora", "ia3", "bitfit", "adapter", "prompt", "prefix")),
)
POOLINGS = ("mean", "first", "attention", "max", "layers")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A BERT whose layers take the fast forms."""
    return tiny_bert(tmp_path_factory.mktemp("wide") / "bert", width=64, dropout=0.0)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("texts") / "rows.csv", sentences(64))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("which", WHICH, ids=str)
def test_all_that_is_to_learn_does(wide, texts, which, pooling):
    arguments = {"data.path": [str(texts)], "model.source": str(wide), "model.pooling": pooling, **which}
    recipe, origins = compose(file=None, overrides=["train.length=3 steps"], arguments=arguments)
    resolved = resolve(recipe, origins, prepared=prepare(recipe))
    setup = make_setup(resolved)
    before = {name: p.detach().clone() for name, p in setup.model.named_parameters() if p.requires_grad}
    assert before
    for _ in train_steps(setup, make_plan(resolved.recipe, setup.examples)):
        pass
    still = [name for name, p in setup.model.named_parameters() if name in before and p.equal(before[name])]
    assert not still
