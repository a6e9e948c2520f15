"""The Decoding tab, in English."""

TEXTS: dict[str, str] = {
    "decoding_intro": "One storyteller goes on from one sentence by ten strategies, all fed with the same random "
    "numbers. Below, move the sliders to see what each setting does to the next token, and sweep the temperature to "
    "see where stories collapse and where they fall apart.",
    "decoding_try": "Tell one opening in ten ways",
    # The strategies
    "decoding_run": "Tell by every strategy",
    "decoding_greedy": "Greedy",
    "decoding_beam": "Beam search",
    "decoding_shared": "All share seed {seed}: where two differ, only the strategy differs.",
    # The next token
    "decoding_next": "What comes next?",
    "decoding_next_about": "The likeliest next tokens: as the model has them, and after each setting that is on, in "
    "the order in which they are applied. A click on a token puts it behind the text.",
    "decoding_text": "Told so far",
    "decoding_text_hint": "Nothing yet: click on a token below, draw one, or write",
    "decoding_draw": "Draw the next token",
    "decoding_restart": "Start over",
    "decoding_bars": "Probabilities of the next token",
    "decoding_token": "Token",
    "decoding_model": "Model",
    "decoding_model_about": "The model's own probabilities, before any setting.",
    "decoding_kept": "{kept:,} tokens · {entropy:.2f} bits",
    "decoding_kept_about": "Tokens that may still be chosen, and the entropy in bits: how undecided the distribution "
    "is, "
    "0 where one token is certain.",
    "decoding_end": "end of story",
    "decoding_ended": "The story ends here.",
    "decoding_take_hint": "Put {token} behind the text",
    # The sweep
    "decoding_sweep": "From collapse to word salad",
    "decoding_sweep_about": "The storyteller goes on from eight sentences at each of ten temperatures, with the same "
    "random numbers and nothing cut off.",
    "decoding_sweep_run": "Sweep the temperature",
    "decoding_waits": "Waiting in line …",
    "decoding_sweep_progress": "{done} of {total} temperatures …",
    "decoding_sweep_stopped": "Stopped.",
    "decoding_across": "Temperature (left: collapse, right: word salad)",
    "decoding_repeating": "Stories that repeat four words",
    "decoding_four": "Four sentences, then the end",
    "decoding_surprise": "Surprise (perplexity per word)",
    "decoding_figures": "The figures",
    "decoding_reading": "On the left the likeliest token always wins: runs of four words come again, few pairs of "
    "words are new, and nothing surprises the storyteller in what it told. On the right unlikely tokens win: nothing "
    "repeats, which looks like variety, but the surprise rises far above any story's, and stories no longer end.",
    "decoding_people": "The dashed line is the surprise that people's stories give it, {value:.3g}.",
}
