"""Tokenizers give back what they were given, and load like any other."""

import pytest

from qdlaws.errors import BadData
from trainer.policy.tokenizer import SPECIAL, character_tokenizer, smiles_tokenizer, symbols
from trainer.pretrain.smiles_corpus import bundled_smiles

ODD = ["C[C@@H](N)C(=O)O", "[13CH4]", "C%12CC%12", "C%(123)CC%(123)", "F/C=C\\Br", "ClC(Cl)Br"]


@pytest.fixture(scope="module")
def molecules():
    return bundled_smiles()


def test_every_molecule_of_the_corpus_comes_back(molecules):
    tokenizer = smiles_tokenizer(molecules)
    ids = tokenizer(molecules)["input_ids"]
    back = tokenizer.batch_decode(ids, skip_special_tokens=True)
    assert len(molecules) > 14_000
    assert back == molecules
    assert all(tokenizer.unk_token_id not in row for row in ids)


def test_a_symbol_is_an_atom_a_ring_number_or_a_sign():
    assert symbols("ClC%12[nH]Brc") == ["Cl", "C", "%12", "[nH]", "Br", "c"]
    for text in ODD:
        assert "".join(symbols(text)) == text
        tokenizer = smiles_tokenizer([text])
        assert len(tokenizer(text)["input_ids"]) == 1 + len(symbols(text))  # with <bos>
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_selfies_symbols_are_brackets():
    assert symbols("[C][=C][Ring1]") == ["[C]", "[=C]", "[Ring1]"]


def test_special_tokens_have_their_ids():
    tokenizer = smiles_tokenizer()
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3]
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert tokenizer("")["input_ids"] == [1]
    assert tokenizer("CX")["input_ids"][-1] == tokenizer.unk_token_id
    assert set(tokenizer.all_special_ids) == {0, 1, 2, 3}


def test_decoding_adds_no_blanks_and_no_tidying():
    text = "it 's here , n't it ? do n't ."
    tokenizer = character_tokenizer([text])
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.parametrize("text", ["a\nb\tc", " leading and trailing ", "ünï→¬", "<b>"])
def test_characters_come_back(text):
    tokenizer = character_tokenizer([text])
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == 1 + len(text)
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_it_loads_by_auto_tokenizer(tmp_path):
    from transformers import AutoTokenizer, LlamaConfig

    tokenizer = smiles_tokenizer(ODD)
    tokenizer.save_pretrained(tmp_path)
    LlamaConfig(vocab_size=len(tokenizer)).save_pretrained(tmp_path)  # must not pull in Llama's own
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded(ODD)["input_ids"] == tokenizer(ODD)["input_ids"]
    ids = loaded(ODD)["input_ids"]
    assert loaded.batch_decode(ids, skip_special_tokens=True) == ODD
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 2)


def test_prompts_are_padded_on_the_left():
    tokenizer = character_tokenizer(["abc"])
    assert tokenizer(["abc", "a"], padding=True)["input_ids"][1][:2] == [0, 0]


def test_nothing_and_special_texts_are_refused():
    with pytest.raises(BadData, match="at least one text"):
        character_tokenizer([])
