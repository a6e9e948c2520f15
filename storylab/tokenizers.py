"""The shared SentencePiece vocabulary, GPT-2's BPE beside it, and the special tokens.

The vocabulary is learnt by SentencePiece (byte-pair encoding, byte fallback) and stored as a
`tokenizer.json`, so that `AutoTokenizer.from_pretrained` opens it without remote code. SentencePiece
writes a blank as U+2581; here pieces hold the blank itself, so a U+2581 that somebody typed is only
another character and text comes back exactly as it went in.
"""

import codecs
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, GPT2Tokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from storylab.errors import StoryLabError

PAD, START, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
PAD_ID, START_ID, END_ID, UNKNOWN_ID = range(4)
_BYTE = re.compile("<0x([0-9A-F]{2})>")
_BLANK = "▁"  # what SentencePiece writes for a blank


def train_vocabulary(texts: Iterable[str], size: int = 8000, threads: int = 2) -> PreTrainedTokenizerFast:
    """Learn a byte-pair vocabulary with byte fallback (Sennrich et al. 2016; Kudo and Richardson 2018).

    Args:
        texts: The texts to learn from, one line each.
        size: Number of pieces, the four special tokens and 256 byte pieces included.
        threads: Processor threads that SentencePiece may use.

    Returns:
        A tokenizer whose `encode(text, add_special_tokens=False)` and `decode` are each other's inverse.

    Raises:
        StoryLabError: The texts are too few for that many pieces.
    """
    import sentencepiece

    model, failures = io.BytesIO(), []

    def guarded() -> Iterator[str]:
        try:
            yield from texts
        except StoryLabError as error:  # SentencePiece would make an error of its own of it
            failures.append(error)
            raise

    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=guarded(),
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            byte_fallback=True,
            character_coverage=0.9999,
            normalization_rule_name="identity",  # what is typed is what is read
            remove_extra_whitespaces=False,
            split_digits=True,
            num_threads=threads,
            pad_id=PAD_ID,
            bos_id=START_ID,
            eos_id=END_ID,
            unk_id=UNKNOWN_ID,
            pad_piece=PAD,
            bos_piece=START,
            eos_piece=END,
            unk_piece=UNKNOWN,
            minloglevel=2,
        )
    except Exception as error:
        if failures:
            raise failures[0] from None
        most = re.search(r"<= (\d+)", str(error))
        hint = f"; these texts carry at most {most[1]}" if most else " from these texts"
        raise StoryLabError(f"a vocabulary of {size} pieces can't be learnt{hint}") from None
    return _as_fast_tokenizer(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))


def _as_fast_tokenizer(learnt) -> PreTrainedTokenizerFast:
    """Rebuild a SentencePiece BPE model with the `tokenizers` library: same pieces, same merges."""
    ids = range(learnt.get_piece_size())
    pieces = [learnt.id_to_piece(i) for i in ids]
    plain = {pieces[i]: i for i in ids if not (learnt.is_control(i) or learnt.is_unknown(i) or learnt.is_byte(i))}
    merges = []
    for piece, i in plain.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in plain and right in plain:
                merges.append((-learnt.get_score(i), plain[left], plain[right], left, right))
    spell = lambda piece: piece.replace(_BLANK, " ") if piece in plain else piece  # noqa: E731
    tokenizer = Tokenizer(
        models.BPE(
            vocab={spell(piece): i for i, piece in enumerate(pieces)},
            merges=[(spell(left), spell(right)) for *_, left, right in sorted(merges)],
            unk_token=UNKNOWN,
            byte_fallback=True,
        )
    )
    # One blank goes before the text, so that a word is the same piece at its start and inside; decoding
    # takes it off again. Words are encoded one at a time, each with the blank before it.
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(" "), "merged_with_next")
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1, right=0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        split_special_tokens=True,  # "</s>" typed by a person is four characters, not the end of the story
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(folder: str | Path):
    """Open the tokenizer of a checkpoint folder, set so that no typed text becomes a special token.

    Args:
        folder: A folder with tokenizer files; nothing is looked up outside it.

    Returns:
        A fast tokenizer of transformers, SentencePiece's or GPT-2's or another.

    Raises:
        StoryLabError: The folder has no readable tokenizer.
    """
    try:
        names = {path.name for path in Path(folder).iterdir()}
        bare = {"vocab.json", "merges.txt"} <= names and not {"config.json", "tokenizer_config.json"} & names
        opener = GPT2Tokenizer if bare else AutoTokenizer  # GPT-2's two files say nothing of their class
        opened = opener.from_pretrained(
            str(folder), local_files_only=True, split_special_tokens=True, clean_up_tokenization_spaces=False
        )
        if len(opened) <= len(opened.all_special_tokens):  # transformers makes an empty one of a folder without files
            raise ValueError("it has no vocabulary")
        return opened
    except Exception as error:  # transformers raises OSError, ValueError, KeyError and others by what is wrong
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StoryLabError(f"{folder} has no readable tokenizer: {reason}") from None


class Speller:
    """The text of tokens as they come: a character appears once its last byte has, and never changes again.

    Bytes that make no character become U+FFFD; those of a character that never ends are no text.
    """

    def __init__(self, tokenizer):
        """Start a text."""
        self.tokenizer = tokenizer
        self.tokens: list[int] = []
        self.text = ""
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._has_byte_pieces = tokenizer.convert_tokens_to_ids("<0x00>") != tokenizer.unk_token_id

    def add(self, token: int) -> str:
        """Put a token behind the text; returns the characters that it adds."""
        self.tokens.append(token)
        if self._has_byte_pieces:
            piece = self.tokenizer.convert_ids_to_tokens(token)
            byte = _BYTE.fullmatch(piece)
            new = self._bytes.decode(bytes.fromhex(byte[1]) if byte else piece.encode())
            if not self.text and new.startswith(" ") and len(self.tokens) == 1:
                new = new[1:]  # the blank that encoding puts before a text
        else:
            told = self.tokenizer.decode(self.tokens)
            new = "" if told.endswith("\ufffd") else told[len(self.text) :]
        self.text += new
        return new


def piece_text(tokenizer, token: int) -> str:
    """The text of a token by itself, the blank before a word included; a lone byte is written `<0xE2>`."""
    if tokenizer.convert_tokens_to_ids("<0x00>") != tokenizer.unk_token_id or token in tokenizer.all_special_ids:
        return tokenizer.convert_ids_to_tokens(token)
    return tokenizer.decode([token])


def start_token(tokenizer) -> int | None:
    """The token that a text begins with: the start token, else the end token (GPT-2 has no other)."""
    return tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id


def encode(tokenizer, text: str) -> list[int]:
    """Token ids of a text alone: no start or end token, and special-token text taken literally."""
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


_shared: dict[str, PreTrainedTokenizerBase] = {}


def shared_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """What `load_tokenizer` opens; folders whose tokenizer files are the same share it, so nobody may change it.

    Raises:
        StoryLabError: As for `load_tokenizer`.
    """
    files = sorted(Path(folder).glob("*token*.json"))
    if [file.name for file in files] != ["tokenizer.json", "tokenizer_config.json"]:  # others lean on more than these
        return load_tokenizer(folder)
    try:
        key = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    except OSError:
        return load_tokenizer(folder)
    if key not in _shared:
        _shared[key] = load_tokenizer(folder)
    return _shared[key]


def vocabulary_hash(tokenizer) -> str:
    """SHA-256 of a vocabulary's pieces in order: tokens mean nothing without it."""
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return hashlib.sha256("\n".join(map(str, pieces)).encode()).hexdigest()
