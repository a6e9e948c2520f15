"""Training while one looks on, in the Training tab, in English."""

TEXTS: dict[str, str] = {
    # Overfit one story
    "live_overfit": "Overfit one story, live",
    "live_overfit_about": "A new, small encoder-decoder learns one story and nothing else, at most {seconds} seconds "
    "long. It ends by itself once the model retells the story word for word: a training loop that can't do this has a "
    "fault.",
    "live_story": "Your story",
    "live_story_info": "Five English sentences, at most {most} characters.",
    "live_examples": "Or one of these",
    "live_rate": "Learning rate",
    "live_rate_info": "How far each step goes. 0.01 takes a moment; 1e-07 is the course report's, which needed 30,000 "
    "steps.",
    "live_train": "Train",
    "live_waits": "Waiting in line: one model is trained at a time …",
    "live_begins": "Getting ready …",
    "live_stopped": "Stopped before it began.",
    "live_seconds": "Seconds",
    "live_seconds_about": "Time since training began.",
    "live_step_about": "Each step reads one batch and changes the weights once.",
    "live_loss": "Training loss",
    "live_loss_about": "How surprised the model is by the tokens that it is learning, in nats a token: 9 is as good as "
    "guessing, 0 is certainty.",
    "live_right": "Words right",
    "live_right_about": "The share of the story's words that the retelling has, in the same order.",
    "live_retelling": "The retelling after {step} steps; words that agree with the story are underlined",
    "live_exact": "Word for word after {step} steps and {seconds:.1f} seconds.",
    "live_ended": "Stopped after {step} steps and {seconds:.1f} seconds, with {right:.0f}% of the words right.",
    "live_late": "The time is up after {step} steps and {seconds:.1f} seconds, with {right:.0f}% of the words right.",
    "live_other": "Ask it something else",
    "live_other_info": "A model that knows one story has learnt no language: whatever comes first, it tells that "
    "story, or pieces of it.",
    "live_ask": "Ask",
    "live_gone": "This model is no longer kept. Press “Train” to train it again.",
    # The plot
    "live_plot_loss": "Loss in nats a token, logarithmic",
    "live_plot_step": "Step",
    "live_plot_about": "Loss against steps. {ends}.",
    "live_plot_line": "{name}: from {first:.3g} to {last:.3g} at step {step}",
    # Fine-tune on your own stories
    "live_own": "Fine-tune on your own stories",
    "live_own_about": "A small storyteller goes on learning from your CSV with the columns sentence1 to sentence5: "
    "{fewest} to {most} stories, at most {megabytes:.3g} MB and {minutes:.0f} minutes. A tenth is held out and "
    "measured before and after. The file is deleted once it is read, and the model is gone when you close the page.",
    "live_base": "Begin with",
    "live_base_info": "The one that has read stories already takes small steps; the others have more to learn.",
    "live_finetune": "Fine-tune",
    "live_small": "Use the small corpus that comes with StoryLab",
    "live_held_out": "Held-out loss",
    "live_held_about": "The loss on stories that the model does not learn from. Where it rises while the training "
    "loss falls, the model learns by heart.",
    "live_sample": "What it makes of the first held-out opening by now",
    "live_ending": "Stopping; what was learnt is measured …",
    "live_ended_end": "Done after {step} of {steps} steps. It is called “Yours” in the other tabs until you close the "
    "page.",
    "live_ended_stopped": "Stopped after {step} of {steps} steps; what was learnt is kept. It is called “Yours” in "
    "the other tabs until you close the page.",
    "live_ended_time": "The time was up after {step} of {steps} steps; what was learnt is kept. It is called “Yours” "
    "in the other tabs until you close the page.",
    "live_outcome": "Learnt from {learnt} stories, measured on {held} others; the fewer, the wider the interval. Lower "
    "is better.",
    "live_bad_rows": "Rows left out because they are no stories: {bad}.",
    "live_before": "Before",
    "live_after": "After",
    "live_perplexity": "Perplexity per word",
    "live_interval": "95% interval",
    "live_compare": "Compare it",
    "live_compare_info": "One opening and one seed for yours, the one that it began as, and another.",
    "live_tell": "Tell side by side",
    "live_telling": "They are at it …",
    "live_told_about": "Default settings, seed {seed}.",
}
