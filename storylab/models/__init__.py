"""The two Transformers that StoryLab trains from scratch, known to transformers' Auto classes."""

from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM

from storylab.models.encoder import EncoderConfig, EncoderStoryteller
from storylab.models.seq2seq import Seq2SeqConfig, Seq2SeqStoryteller

AutoConfig.register("storylab-encoder", EncoderConfig, exist_ok=True)
AutoConfig.register("storylab-seq2seq", Seq2SeqConfig, exist_ok=True)
AutoModel.register(EncoderConfig, EncoderStoryteller, exist_ok=True)
AutoModelForSeq2SeqLM.register(Seq2SeqConfig, Seq2SeqStoryteller, exist_ok=True)

__all__ = ["EncoderConfig", "EncoderStoryteller", "Seq2SeqConfig", "Seq2SeqStoryteller"]
