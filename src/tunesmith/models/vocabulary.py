"""Train the vocabulary's rows that occur in the data, and no others.

Most of a small model's parameters are word vectors (half of MiniLM's 22.7 million), and most of those words never
occur in a user's data: their gradient is zero. Plain fine-tuning still clears, measures and decays them in every
update. Here the rows that occur are a parameter of their own, so the rest costs nothing and stays as pre-trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORTH_IT = 0.8
"""Above this share of the vocabulary, all of it is trained as usual."""


class RowsEmbedding(nn.Embedding):
    """An embedding whose trained rows are the parameter `rows`, shape (trained, width); `weight` is frozen.

    In training mode only ids of trained rows may be looked up. Switching to evaluation mode copies the rows into
    `weight`, which then serves every id.
    """

    rows: nn.Parameter
    trained: Tensor
    place: Tensor
    padding_row: int | None

    def forward(self, input: Tensor) -> Tensor:
        """Return the vectors of token ids, shape (..., width)."""
        if not self.training:
            return super().forward(input)
        found: Tensor = F.embedding(self.place[input], self.rows, self.padding_row)
        return found

    def train(self, mode: bool = True) -> RowsEmbedding:
        """Switch the mode; for evaluation, bring `weight` up to date, also where the mode was that already."""
        if not mode:
            self.fold()
        super().train(mode)
        return self

    def fold(self) -> None:
        """Copy the trained rows into `weight`."""
        with torch.no_grad():
            self.weight[self.trained] = self.rows


class FewRowsEmbedding(RowsEmbedding):
    """Likewise, but in training mode, too, any id may be looked up; those of other rows cost a look into `weight`."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the vectors of token ids, shape (..., width)."""
        if not self.training:
            return super().forward(input)
        place = self.place[input]
        trained = F.embedding(place.clamp(min=0), self.rows)
        return torch.where((place >= 0)[..., None], trained, F.embedding(input, self.weight, self.padding_idx))


def train_rows_of(model: nn.Module, ids: Iterable[Sequence[int]], *, extra: Sequence[int] = ()) -> None:
    """Freeze the word vectors of ids that occur neither in `ids` nor in `extra`, where that is most of them.

    Models whose word vectors are frozen, shared with an output layer, or of a class of their own are left alone.
    """
    if not has_rows_of_its_own(model):
        return
    embedding = cast(nn.Embedding, _own_embedding(model))
    occurring = np.unique(np.concatenate([np.asarray(extra, dtype=np.int64), *map(np.asarray, ids)]).astype(np.int64))
    if len(occurring) <= WORTH_IT * embedding.num_embeddings:
        _put_rows(embedding, occurring, RowsEmbedding)


def train_few_rows(model: nn.Module, ids: Sequence[int]) -> bool:
    """Let a few word vectors learn and no others; return whether the model has word vectors of which that can be said.

    Not so where they are shared with an output layer, or of a class of their own.
    """
    embedding = _own_embedding(model)
    if embedding is None:
        return False
    _put_rows(embedding, np.asarray(ids, dtype=np.int64), FewRowsEmbedding)
    return True


def _own_embedding(model: nn.Module) -> nn.Embedding | None:
    """Return a model's word vectors; None where they are shared with an output layer, or of a class of their own."""
    find = getattr(model, "get_input_embeddings", None)
    embedding = find() if find else None
    return embedding if type(embedding) is nn.Embedding and not _is_shared(model, embedding) else None


def _put_rows(embedding: nn.Embedding, ids: np.ndarray, kind: type[RowsEmbedding]) -> None:
    trained = torch.as_tensor(ids, device=embedding.weight.device)
    place = torch.full((embedding.num_embeddings,), -1, device=trained.device)
    place[trained] = torch.arange(len(trained), device=trained.device)
    padding = embedding.padding_idx
    # A plain number, found once: asking the tensor in every step would make a GPU wait.
    padding_row = None if padding is None or place[padding] < 0 else int(place[padding])
    embedding.__class__ = cast(type[nn.Embedding], kind)
    cast(RowsEmbedding, embedding).padding_row = padding_row
    embedding.rows = nn.Parameter(embedding.weight.detach()[trained].clone())
    embedding.register_buffer("trained", trained, persistent=False)
    embedding.register_buffer("place", place, persistent=False)
    embedding.weight.requires_grad_(False)


def has_rows_of_its_own(model: nn.Module) -> bool:
    """Whether some rows of a model's word vectors can be trained without the others."""
    embedding = _own_embedding(model)
    return embedding is not None and embedding.weight.requires_grad


def make_plain(model: nn.Module) -> None:
    """Undo `train_rows_of` and `train_few_rows`: the rows move into `weight`, the class is `nn.Embedding` again."""
    for module in model.modules():
        if isinstance(module, RowsEmbedding):
            module.fold()
            del module.rows, module.trained, module.place, module.padding_row
            cast(nn.Embedding, module).__class__ = nn.Embedding
            module.weight.requires_grad_(True)


def _is_shared(model: nn.Module, embedding: nn.Embedding) -> bool:
    uses = [m for m in model.modules() for p in m.parameters(recurse=False) if p is embedding.weight]
    return len(uses) > 1
