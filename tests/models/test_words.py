"""Words and their tokens; windows that answer for each word once."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel, Metaspace
from transformers import PreTrainedTokenizerFast

from tunesmith.models.words import first_tokens, whole_words, word_windows


def test_a_word_is_known_by_its_first_token():
    #        anna      bell      .
    offsets = [(0, 2), (2, 4), (5, 7), (7, 9), (9, 10)]
    assert first_tokens(offsets, [(0, 4), (5, 9), (9, 10)]) == {0: 0, 1: 2, 2: 4}


def test_words_without_tokens_are_left_out():
    assert first_tokens([(0, 2), (6, 8)], [(0, 2), (3, 5), (6, 8), (9, 10)]) == {0: 0, 2: 1}
    assert first_tokens([], [(0, 2)]) == {}
    assert first_tokens([(0, 2)], []) == {}


def test_tokens_may_begin_with_the_space_before_a_word_or_be_a_space():
    assert first_tokens([(0, 2), (2, 5), (5, 6), (6, 8)], [(0, 2), (3, 5), (6, 8)]) == {0: 0, 1: 1, 2: 3}


def test_words_written_together_may_share_a_token():
    assert first_tokens([(0, 3), (3, 5)], [(0, 3), (3, 4), (4, 5)]) == {0: 0, 1: 1, 2: 1}


@pytest.mark.parametrize("room", [4, 7, 30])
@pytest.mark.parametrize("n_tokens", [0, 1, 4, 5, 8, 29, 30, 31, 100])
def test_every_word_has_one_window_and_every_token_is_read(n_tokens, room):
    first = {word: token for word, token in enumerate(range(0, n_tokens, 2))}
    windows = word_windows(first, n_tokens, room=room)
    assert sorted(word for window in windows for word in window.words) == list(first)
    assert {t for w in windows for t in range(w.start, w.end)} == set(range(n_tokens))
    assert all(window.end - window.start <= room for window in windows)
    for window in windows:
        assert [window.start + token for token in window.tokens] == [first[word] for word in window.words]
        assert window.words == sorted(window.words)
    if n_tokens <= room:
        assert len(windows) == 1


def test_a_word_is_read_where_it_has_most_text_around_it():
    windows = word_windows({i: i for i in range(100)}, 100, room=40)
    inner = [(t, w) for w in windows for t in w.tokens if 10 < w.start + t < 90]
    assert all(min(t, 39 - t) >= 4 for t, w in inner)
    assert [w.start for w in windows] == [0, 30, 60]
    assert windows[0].words[-1] == 34


def vocabulary(tokens, *, splits=None, decodes=None):
    """Return a tokenizer of these tokens."""
    raw = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token=tokens[0]))
    raw.pre_tokenizer, raw.decoder = splits or pre_tokenizers.Whitespace(), decodes
    return PreTrainedTokenizerFast(tokenizer_object=raw, unk_token=tokens[0])


def test_whole_words_are_told_from_parts_of_words_in_every_kind_of_vocabulary():
    pieces = vocabulary(["[UNK]", "film", "##s", "été", "12", ",", "हिन्दी", "o'clock", "unused1"])
    assert whole_words(pieces) == ["", "film", "", "été", "", "", "हिन्दी", "", ""]
    spaced = vocabulary(["<unk>", "▁film", "s", "▁été", "▁", "▁12"], splits=pre_tokenizers.Metaspace(),
                        decodes=Metaspace())  # fmt: skip
    assert whole_words(spaced) == ["", "film", "", "été", "", ""]
    of_bytes = vocabulary(["<unk>", "Ġfilm", "s", "ĠÃ©tÃ©", "Ġ", "Ã©"], splits=pre_tokenizers.ByteLevel(),
                          decodes=ByteLevel())  # fmt: skip
    assert whole_words(of_bytes) == ["", "film", "", "été", "", ""]
    assert whole_words(vocabulary(["<unk>", "▁", *(f"word{c}" for c in "abcdefghij")]))[2] == "worda", "no mark"
