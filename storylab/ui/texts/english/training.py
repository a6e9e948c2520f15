"""The Training tab, in English: what was trained how, and at what cost. What settings mean is told by `Recipe`."""

from storylab.docstrings import field_help
from storylab.training.comparison import WORDS
from storylab.training.recipe import Recipe

TEXTS = {
    "training_intro": "How each storyteller learnt to tell: its curves, what it cost, and the recipe behind it. Below "
    "you train one yourself, on one story or on your own.",
    "training_try": "Overfit one story now",
    "training_storyteller": "Storyteller",
    "training_seconds": "{seconds:.0f} s",
    "training_minutes": "{minutes} min",
    "training_hours": "{hours} h {minutes} min",
    "training_millions": "{count:.2f} M",
    "training_prose": "{names}: validated on held-out prose, not on stories; not to be compared with the others.",
    # The curves
    "training_curves": "How did training go?",
    "training_curves_about": "From the log of every checkpoint, read anew each time this tab is opened: one that you "
    "have trained with python -m train is here too.",
    "training_quantity": "Show",
    "quantity_perplexity_per_word": "Validation perplexity per word",
    "quantity_loss": "Training loss",
    "quantity_learning_rate": "Learning rate",
    "quantity_tokens_per_second": "Tokens per second",
    "training_axis": "Over",
    "axis_step": "Steps",
    "axis_tokens": "Tokens",
    "axis_seconds": "Hours",
    "training_legend": "Lines and their last values",
    "training_stage": "Stage",
    "about_perplexity_per_word": "Between how many equally likely words the model wavers, on average, on stories that "
    "it has not learnt; lower is better. Counted per word, so that models with other tokens compare.",
    "about_loss": "Mean surprise in nats at a token that is to be learnt; lower is better. Which tokens those are "
    "depends on framing and vocabulary, so compare a curve with itself rather than with another.",
    "about_learning_rate": "How large a step AdamW takes: up during warm-up, then down by the recipe's schedule. Where "
    "Muon trains the matrices, its own rate follows the same course.",
    "about_tokens_per_second": "Speed since the line of the log before, whatever else the machine did meanwhile.",
    "training_stages": "A dashed upright line shows where a later stage of the same training begins; steps, tokens "
    "and hours count on through all stages.",
    "training_no_curve": "None of the chosen storytellers has this in its log.",
    "training_no_log": "No checkpoint has a training log yet; python -m train tiny makes one in a minute.",
    # The cost
    "training_cost": "What did it cost?",
    "training_cost_about": "Time, tokens and perplexity come from the logs, parameters and hardware from the model "
    "cards, the test figures from the published results. Headings explain themselves under the pointer.",
    "cost_from": "Starts from",
    "costs_from": "The weights that training began with. What a base cost to pre-train is not in the row.",
    "cost_parameters": "Parameters",
    "costs_parameters": "Numbers in the model, in millions.",
    "cost_trained": "Trained",
    "costs_trained": "Parameters that training changed or added; the rest are the base's, frozen.",
    "cost_tokens": "Tokens seen",
    "costs_tokens": "Tokens put through the model in training, padding left out, in millions; a story counts each time "
    "it is read.",
    "cost_time": "Time",
    "costs_time": "From the first step to the last, validations included, interruptions left out.",
    "cost_speed": "Tokens/s",
    "costs_speed": "Tokens seen over time, on average.",
    "cost_hardware": "Hardware",
    "costs_hardware": "What computed it, and in which precision.",
    "cost_validation": "Validation ↓",
    "costs_validation": "The lowest perplexity per word on validation stories during training; lower is better.",
    "cost_test": "Test ↓",
    "costs_test": "Perplexity per word on test stories with its 95% interval, from the published results; empty where "
    "these weights are not in them.",
    "cost_random": "random weights",
    "cost_itself": "its own earlier weights",
    "cost_itself_upon": "its own earlier weights, upon {base}",
    "cost_measured": "Time is as measured then, whatever else the machine did meanwhile.",
    "cost_earlier": "The log begins where an earlier training of the same model ended, whose cost is not in it: "
    "{names}.",
    # On the way
    "training_told": "How did its stories change?",
    "training_told_about": "What a model made of one opening at its validations, drawn with the same luck each time.",
    "told_step": "Step {step:,}",
    "told_figure": "perplexity {value:.1f}",
    "told_none": "Its log holds no stories.",
    # The recipes
    "training_recipes": "What did they do differently?",
    "training_recipes_about": "Two recipes side by side; ≠ marks what differs. The first pair is the course report's "
    "first fine-tuning, whose labels did not follow their inputs, and its repair.",
    "training_only": "Only differences",
    "training_setting": "Setting",
    "training_differs": "differs",
    "training_differing": "{differing} of {settings} settings differ.",
    "training_unheeded": "not used",
    "training_empty": "empty",
    "training_no_recipe": "Choose two recipes.",
    "kept_train": "{name} (recipe)",
    "kept_checkpoints": "{name} (as trained)",
} | {
    f"recipe_{name}": words.replace("{", "{{").replace("}", "}}")
    for name, words in field_help(Recipe).items()
    if name not in WORDS
}
