"""The Tokens tab, in English."""

TEXTS: dict[str, str] = {
    "tokens_intro": "See which words of a story surprised which storyteller, and what it would rather have said. "
    "Choose a word to look closer, and to have the story told differently from there.",
    "tokens_try": "Who notices the elephant?",
    # What is asked
    "tokens_text": "What was told after it",
    "tokens_text_info": "Change a word and read it again. Left empty, the first reader tells one.",
    "tokens_text_hint": "empty: the first reader tells a story",
    "tokens_readers": "Readers",
    "tokens_readers_info": "One to {most} storytellers, each of which gives every token a probability.",
    "tokens_run": "Read",
    "tokens_seed_info": "For a told text and for branches; left empty, a branch has the seed of the text. "
    "The same seed gives every place in a text the same luck.",
    "tokens_waits": "Waiting in line …",
    "tokens_tells": "{title} tells a story …",
    "tokens_reads": "{title} reads ({number} of {readers}) …",
    "tokens_stopped": "Stopped.",
    "tokens_idle": "Choose Read: every token of the text appears here, as each reader sees it.",
    # The readings
    "tokens_colour": "Colour and number",
    "tokens_colour_info": "What each token's colour and the small number under it say.",
    "tokens_probability": "Probability",
    "tokens_probability_about": "The reader's own probability of this token after all before it, without temperature "
    "and cuts.",
    "tokens_rank": "Rank",
    "tokens_rank_about": "Its place among all tokens that the reader knows, by probability: 1 is the likeliest.",
    "tokens_entropy": "Entropy",
    "tokens_entropy_about": "The surprise that the reader expected here on average, in bits: 0 where it was certain of "
    "the next token.",
    "tokens_surprise": "Surprise",
    "tokens_surprise_about": "−log₂ of the probability, in bits: 1 for even odds, 10 for one in a thousand. Above the "
    "entropy, the token was odder than expected.",
    "tokens_bits": "bits",
    "tokens_legend_probability": "Probability of the token",
    "tokens_legend_rank": "Rank among all tokens",
    "tokens_legend_entropy": "Entropy before the token, in bits",
    "tokens_perplexity": "perplexity per word",
    "tokens_perplexity_about": "How many equally likely words the reader would hesitate between on average, in this "
    "text: exp of its loss a word. It compares readers that cut words differently.",
    "tokens_count": "{tokens} tokens, {words} words, the end among both",
    "tokens_of": "The tokens as {title} sees them; arrow keys move",
    "tokens_spoken": "{token}, probability {probability}, rank {rank}",
    # A selected token
    "tokens_detail": "The selected token",
    "tokens_likeliest": "The ten likeliest here; choose one to branch with it",
    "tokens_others": "The other readers at this place",
    "tokens_elsewhere": "{token} {probability}, rank {rank}; likeliest {guess} {share}",
    "tokens_branch": "Branch here",
    "tokens_branch_about": "Keep the text before this token, and let the reader go on by itself.",
    "tokens_branch_with": "Branch with {token} in this place",
    # Branches
    "tokens_branched": "Told differently from there",
    "tokens_branched_about": "What is grey was kept; what is marked is new, told by the default preset.",
    "tokens_branching": "Reads what is kept, and goes on …",
    "tokens_adopt": "Read this text",
    "tokens_problem_branch": "The page has lost what was read; choose Read again.",
    # The chart
    "tokens_plot": "Surprise along the story",
    "tokens_plot_about": "In bits per token (−log₂ of its probability), over the characters of the text, so that "
    "readers that cut it differently share one axis. The last step is the end of the story; a dot selects its token.",
    "tokens_surprise_bits": "surprise, bits per token",
}
