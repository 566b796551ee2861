import copy

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from tests.tiny import tiny_bert
from tunesmith.engine import checkpoint
from tunesmith.models.classifier import quiet
from tunesmith.models.vocabulary import RowsEmbedding, make_plain, train_rows_of

IDS = [[2, 5, 6, 3], [2, 9, 3]]


@pytest.fixture
def model(tmp_path):
    with quiet():
        return AutoModelForSequenceClassification.from_pretrained(tiny_bert(tmp_path / "tiny", dropout=0.0))


def one_step(model, batch):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
    for _ in range(3):
        model(input_ids=batch, labels=torch.tensor([0, 1])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def test_rows_that_change_in_evaluation_mode_are_seen_by_the_next_who_asks_for_it(model):
    batch = torch.tensor([[2, 5, 6, 3]])
    train_rows_of(model.eval(), IDS, extra=[0])
    before = model(input_ids=batch).logits
    with torch.no_grad():
        model.get_input_embeddings().rows.add_(1.0)  # as a checkpoint or averaged weights are put in
    after = model.eval()(input_ids=batch).logits
    assert not torch.allclose(before, after)
    make_plain(model)
    assert torch.equal(after, model(input_ids=batch).logits)


def test_same_result_as_training_the_whole_vocabulary(model):
    batch = torch.tensor([[2, 5, 6, 3], [2, 9, 3, 0]])
    other = copy.deepcopy(model)
    train_rows_of(model, IDS, extra=[0])
    rows = model.get_input_embeddings()
    assert type(rows) is RowsEmbedding
    assert rows.rows.shape == (6, 32)
    for m in (model, other):
        one_step(m.train(), batch)
        m.eval()
    unseen = torch.tensor([[2, 20, 21, 3]])
    for ids in (batch, unseen):
        torch.testing.assert_close(model(input_ids=ids).logits, other(input_ids=ids).logits)
    make_plain(model)
    assert type(model.get_input_embeddings()) is nn.Embedding
    assert list(model.state_dict()) == list(other.state_dict())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], msg=name)


def test_rows_survive_a_checkpoint(model, tmp_path):
    train_rows_of(model, IDS)
    with torch.no_grad():
        model.get_input_embeddings().rows += 1
    checkpoint.save_best(tmp_path, model, step=1)
    wanted = model.get_input_embeddings().rows.detach().clone()
    with torch.no_grad():
        model.get_input_embeddings().rows.zero_()
    checkpoint.load_best(tmp_path, model)
    make_plain(model)
    assert torch.equal(model.get_input_embeddings().weight[[2, 3, 5, 6, 9]], wanted)


def test_left_alone_where_it_does_not_apply(model):
    tied = copy.deepcopy(model)
    tied.classifier.weight = tied.get_input_embeddings().weight
    train_rows_of(tied, IDS)
    assert type(tied.get_input_embeddings()) is nn.Embedding
    train_rows_of(model, [range(model.config.vocab_size)])
    assert type(model.get_input_embeddings()) is nn.Embedding
    model.get_input_embeddings().weight.requires_grad_(False)
    train_rows_of(model, IDS)
    assert type(model.get_input_embeddings()) is nn.Embedding
    train_rows_of(nn.Linear(2, 2), IDS)
