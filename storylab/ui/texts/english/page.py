"""The page as a whole, in English."""

TEXTS = {
    "title": "StoryLab",
    "tagline": "You write the first sentence. Language models, each trained in its own way, write the rest.",
    "served": "StoryLab is open at {address}",
    "other_language": "中文",
    "caution": "The models know only English, make things up, and may write something that offends.",
    "copy_link": "Copy link",
    "copy_link_hint": "Copy a link to this view: whoever opens it gets the same texts",
    "title_yours": "Yours, fine-tuned here",
    # Refusals
    "problem_full": "Too many people are waiting for a story just now; try again in a minute.",
    "problem_often": "Everybody has {most} tellings a minute here; try again in {seconds} s.",
    "problem_no_training": "Nothing is trained on this page; python -m storylab does it on your own machine.",
    # The tabs
    "tab_compare": "Compare",
    "tab_results": "Results",
    "tab_tokens": "Tokens",
    "tab_decoding": "Decoding",
    "tab_training": "Training",
    "tab_stories": "Stories",
    "tab_tour": "Tour",
}
