"""Every text of the page, by its key, so that a language is one more table.

`{braces}` are filled in by `text`. What the layers above say themselves (errors, option help, presets) is
passed through as it is.
"""

ENGLISH = {
    "title": "StoryLab",
    "tagline": "You write the first sentence. Language models, each trained in its own way, write the rest.",
    "served": "StoryLab is open at {address}",
    "caution": "The models know only English, make things up, and may write something that offends.",
    # The opening
    "opening": "First sentence",
    "opening_hint": "Write the first sentence of a story",
    "tell": "Tell",
    "stop": "Stop",
    "examples": "Or begin with",
    "problem_choose": "Choose at least one storyteller.",
    "problem_gone": "The page has lost this telling; choose Tell.",
    "problem_nobody": "No storyteller is ready yet; python -m train tiny trains one in a minute.",
    "problem_link": "Left out of the link: {problems}.",
    # The storytellers
    "storytellers": "Storytellers",
    "state_ready": "ready",
    "state_broken": "broken",
    "state_downloadable": "not downloaded",
    "state_unreachable": "out of reach",
    "state_untrained": "not trained",
    "download": "Download {size:.0f} MB",
    "download_unknown": "Download",
    "download_begins": "{title}: asking for it …",
    "download_goes_on": "{title}: {done:.0f} of {total:.0f} MB",
    "download_is_here": "{title}: fetched; checking and unpacking it …",
    "cancel": "Cancel",
    "stands_in": "{wanted} is not here. {teller} tells in its place.",
    "choice_absent": "{title} ({state})",
    # The settings
    "settings": "Settings and seed",
    "preset": "Preset",
    "preset_own": "own settings",
    "preset_own_info": "Changed by hand.",
    "seed": "Seed",
    "seed_hint": "a new one each time",
    "seed_info": "The same seed and settings tell the same story again. Left empty, each telling draws one.",
    "new_seed": "New seed",
    "strategy": "Strategy",
    "temperature": "Temperature",
    "top_k": "Top-k",
    "top_p": "Top-p",
    "min_p": "Min-p",
    "typical_p": "Typical-p",
    "num_beams": "Beams",
    "repetition_penalty": "Repetition penalty",
    "no_repeat_ngram_size": "No repeated run of",
    "sentences": "Sentences",
    "max_new_tokens": "Token limit",
    # A card
    "kind_encoder": "Reads everything written so far at once, sums it up in one vector, and guesses the next word.",
    "kind_seq2seq": "Reads the first sentence with an encoder; a decoder then writes, looking back at it.",
    "kind_causal": "Goes on from the first sentence, word after word, each chosen from all before it.",
    "size": "{name} · {parameters:.1f} M parameters",
    "waiting": "Taking up the pen …",
    "fact_seed": "Seed",
    "fact_first": "First token",
    "fact_speed": "Speed",
    "fact_tokens": "Tokens",
    "fact_ended": "Ended",
    "milliseconds": "{value:.0f} ms",
    "tokens_per_second": "{value:.0f} tokens/s",
    "none": "–",
    "ended_end": "by itself",
    "ended_sentences": "{sentences} sentences",
    "ended_tokens": "at the limit",
    "ended_stopped": "stopped",
    "empty_story": "It ended at once, without a word. Another seed helps.",
    "failed": "It could not tell: {reason}",
    "copy": "Copy",
    "copy_hint": "Copy the story",
    "copied": "Copied",
    "retry": "Retry",
    "retry_hint": "Tell this one again, with a new seed",
}

EXAMPLES = {
    "The park": "Every weekend the Jefferson's go to the park.",
    "The scales": "David noticed he had put on a lot of weight recently.",
    "The storm": "My dog ran away during the storm.",
    "The cake": "Nina wanted to bake a cake for her grandmother's birthday.",
    "The wrong bus": "Sam took the wrong bus on his first day at the new job.",
    "The letter": "Maya found a letter under the floor of her new room.",
    "The robot": "The robot woke up and could not remember its name.",
}
"""Opening sentences to begin with, by the name of their button; the first is there when the page opens."""


def text(key: str, **values: object) -> str:
    """The text of a key, with its `{braces}` filled in."""
    return ENGLISH[key].format(**values)
