"""The Tour tab, in English."""

TEXTS: dict[str, str] = {
    "tour_intro": "StoryLab grew from a course report whose storytellers mostly failed. Five steps repeat its failures "
    "live, each beside its repair.",
    "tour_try": "Begin the tour",
    "tour_steps_label": "Step",
    "tour_run": "Repeat it live",
    "tour_before": "Previous step",
    "tour_next": "Next step",
    "tour_waits": "Waiting for its turn …",
    "tour_runs": "{title}: under way for {seconds:.0f} s",
    "tour_done": "{title}: done in {seconds:.0f} s.",
    "tour_stopped": "Stopped.",
    # A step
    "tour_point_did": "The report",
    "tour_point_wrong": "What went wrong",
    "tour_point_look": "What to look at",
    "tour_side_failure": "As in the report",
    "tour_side_repair": "Repaired",
    "tour_nothing": "Nothing has run yet.",
    "tour_later": "Comes next.",
    "tour_doing_training": "Training",
    "tour_doing_telling": "Telling",
    "tour_doing_reading": "Reading",
    "tour_trained_here": "Trained just now",
    "tour_told_sampled": "{teller}: sampled at temperature {temperature}, seed {seed}",
    "tour_told_bundled": "{teller}, of other data, size and steps: temperature {temperature}, seed {seed}",
    "tour_told_temperature": "{teller}: temperature {temperature}, seed {seed}",
    "tour_told_greedy": "{teller}: always the likeliest token",
    "tour_told_beam": "{teller}: beam search",
    "tour_told_bound": "{teller}: beam search, no three tokens in a row twice, repetition penalty 1.2",
    "tour_end": "end",
    "tour_end_about": "The storyteller chose its end token here.",
    "tour_guess_learnt_next": "What the trained model expects next",
    "tour_guess_padding_read": "What encoder expects next: padded to 128 tokens, padding averaged in",
    "tour_guess_padding_masked": "What encoder expects next: padded to 128 tokens, padding masked",
    "tour_steps": "steps",
    "tour_loss": "Training loss, in nats a label",
    "tour_curves_about": "The loss of both trainings against their steps.",
    "tour_level_blind": "guessing blindly",
    "tour_level_unigram": "knowing only how common each token is",
    "tour_figures": "Measured just now",
    "tour_figure_accuracy": "Next tokens guessed right, in the stories learnt from",
    "tour_figure_accuracy_about": "Share of all tokens that are the model's likeliest. It was trained on these very "
    "stories, so this says nothing of how it does on others.",
    "tour_figure_moved": "Probability that padding moves",
    "tour_figure_moved_about": "Total variation distance between what encoder expects after the opening alone and "
    "after the padded opening: 0% is the same, 100% nothing in common.",
    "tour_figure_padding_share": "Padding among the labels",
    "tour_figure_padding_share_about": "Share of the labels of the 16 held-out stories that are padding, of those "
    "that the loss and the accuracy count.",
    "tour_figure_accuracy_reported": "Accuracy over all labels, on held-out stories",
    "tour_figure_accuracy_reported_about": "Share of all labels of 16 stories that neither model learnt from, "
    "padding included where it is one, that are the model's likeliest token.",
    "tour_figure_accuracy_words": "Accuracy on real tokens, on held-out stories",
    "tour_figure_accuracy_words_about": "The same without labels that are padding.",
    "tour_figure_dropped": "Stories dropped",
    "tour_figure_dropped_about": "Share of 32 small stories that are in no pack, counted in the packs.",
    "tour_figure_mixed": "Tokens that see another story",
    "tour_figure_mixed_about": "Share of tokens in the packs that may look at words of another story, counted in the "
    "attention masks.",
    "tour_figure_pack_loss": "Loss of the same storyteller",
    "tour_figure_pack_loss_about": "In nats a token, on the stories that both ways keep. Masked packs give the loss of "
    "stories read one by one.",
    "tour_changed": "What changed:",
    # 1
    "tour_unigram_title": "The encoder that never learnt",
    "tour_unigram_did": "It trained an encoder to name the next token, with Adam at a rate of 1e-7, on prefixes padded "
    "to 128 tokens.",
    "tour_unigram_wrong": "The rate was far too small, and the padding was averaged into the vector that sums up the "
    "prefix. After all its epochs the model knew only how common each token is (the unigram prior): an accuracy of "
    "0.107.",
    "tour_unigram_look": "Both trainings have the same model, stories, steps and optimizer; only the rate differs. "
    "At 1e-7 the loss stays where blind guessing puts it: after so few steps the model has not even reached the "
    "word frequencies (dashed) where the report's ended. At 0.005 it falls below them. Padding is shown apart: "
    "averaged in, it changes what even a trained encoder expects.",
    "tour_unigram_failure": "A small encoder, AdamW at 1e-7. Then encoder with padding averaged in.",
    "tour_unigram_repair": "The same, AdamW at 0.005. Then encoder, which was trained on ROCStories, with padding "
    "masked.",
    "tour_unigram_changed": "the rates in train/encoder.toml; masked_mean in storylab/models/encoder.py leaves padding "
    "out of the mean.",
    "tour_unigram_play": "See which tokens surprise the encoder",
    # 2
    "tour_padding_title": "An accuracy made of padding",
    "tour_padding_did": "It trained an encoder-decoder on targets padded to one length, sentences joined without a "
    "space, and no end token.",
    "tour_padding_wrong": "The loss and the accuracy counted padding. The accuracy “rose” to 0.63 because padding is "
    "easy to guess, while at temperature 0.1 the model told only full stops.",
    "tour_padding_look": "Both models are small and know 16 stories; the accuracies are measured on 16 others. Over "
    "all labels the left one looks far better, on real tokens both are equally poor. Both tell with the same "
    "settings and seed, and neither is kept from telling padding: where the story is over, the left one goes on in "
    "padding (written ␣pad), the right one chooses its end token. That the loss on the left is lower is padding, "
    "too.",
    "tour_padding_failure": "A small model: padding among its labels, no spaces between sentences, no end token.",
    "tour_padding_repair": "The same model, shape and steps, padding left out of its labels, an end token. Then "
    "seq2seq, which is larger and was trained on far more stories, for far longer.",
    "tour_padding_changed": "PromptTarget in storylab/framing.py masks padding, joins sentences with a space and ends "
    "each story with the end token.",
    "tour_padding_play": "Let a model learn one story by heart, live",
    # 3
    "tour_repetition_title": "Beam search goes in circles",
    "tour_repetition_did": "It asked a pre-trained GPT-2 for the likeliest continuation, by beam search.",
    "tour_repetition_wrong": "“They go to the park and they go to the park and …”: the text that a model holds "
    "likeliest as a whole repeats what is there already.",
    "tour_repetition_look": "The same storyteller, opening and limits: what changes is only how the next token is "
    "chosen.",
    "tour_repetition_failure": "Beam search with five beams.",
    "tour_repetition_repair": "Tokens drawn at random, or beam search that may not repeat itself.",
    "tour_repetition_changed": "the default preset in storylab/decoding/settings.py samples; a repetition penalty and "
    "a no-repeat length are options of every strategy.",
    "tour_repetition_play": "Try all decoding strategies on this opening",
    # 4
    "tour_misaligned_title": "The the the",
    "tour_misaligned_did": "It fine-tuned GPT-2 with the first sentence as input and the rest as labels, both padded "
    "to one length.",
    "tour_misaligned_wrong": "No label stood under the token before it, so nothing could be learnt but which tokens "
    "are common. It told “the the the the”.",
    "tour_misaligned_look": "The same base model, stories, settings and number of steps; only how a story becomes "
    "inputs and labels differs. On the left the loss stays high and the story is of frequent words; on the right "
    "there are sentences.",
    "tour_misaligned_failure": "Recipe gpt2-mini-prompt-misaligned, shortened to 16 steps.",
    "tour_misaligned_repair": "Recipe gpt2-mini-prompt, shortened to 16 steps: labels follow their inputs, the "
    "prompt is read but not learnt.",
    "tour_misaligned_changed": "Autoregressive in storylab/framing.py shifts labels by one and masks the prompt; the "
    "mistake is kept there as Misaligned.",
    "tour_misaligned_play": "Compare the two recipes line by line",
    # 5
    "tour_packing_title": "Fine-tuned, and still repeating",
    "tour_packing_did": "It packed stories into 768 tokens, trained the upper layers of GPT-2, and told by beam "
    "search: “They play a lot of games. They play a lot of games.”",
    "tour_packing_wrong": "Beam search repeats itself after fine-tuning too. And the packing dropped each story that "
    "overflowed and let the others read each other.",
    "tour_packing_look": "One storyteller: in circles by beam search, as a rule four different sentences and the end "
    "when sampled. In packs without a mask its loss is far higher.",
    "tour_packing_failure": "Beam search; packs that drop stories and mix the rest.",
    "tour_packing_repair": "Sampling with three seeds; packs that lose nothing and keep stories apart.",
    "tour_packing_changed": "Packed in storylab/framing.py fills packs without a loss and gives each story its own "
    "positions and attention mask; freezing names layers in storylab/training/freezing.py.",
    "tour_packing_play": "Compare the base and its fine-tuned twin",
}
