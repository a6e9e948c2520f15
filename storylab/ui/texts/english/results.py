"""The Results tab, in English."""

TEXTS = {
    "results_intro": "Every storyteller has continued the same human-written stories, and here is how it did beside "
    "what chance alone would do. Sort, compare two, see who surprises whom, measure them on your own stories, or vote.",
    "results_try": "Vote on two stories",
    # The results
    "leaderboard": "How good are they?",
    "leaderboard_about": "Measured on {stories} stories by {command}. A click on a "
    "heading sorts by it; ↑ higher is better, ↓ lower is better.",
    "metric": "Metric",
    "differences": "Do two of them differ by more than chance?",
    "differences_about": "The difference with its 95% interval, and the chance of one as large if it did not matter "
    "who told which story, corrected for the number of pairs.",
    "one": "One",
    "other": "The other",
    "difference": "Difference",
    "wrote": "wrote",
    "reads": "reads",
    "cross_reading": "Who finds whom surprising?",
    "cross_reading_about": "Perplexity per word of the reader, in a row, on the stories of the writer, in a column. "
    "The darker, the more surprised.",
    "samples": "What they tell",
    "samples_about": "Each storyteller's stories of one opening, with three seeds.",
    "problem_same": "Choose two different storytellers.",
    # Run on your own file
    "own": "Run it on your own stories",
    "own_about": "A CSV with the columns sentence1 to sentence5. The first {stories} stories are continued by up to "
    "{storytellers} storytellers; the file may have {megabytes:.3g} MB, and is deleted afterwards.",
    "own_file": "Your CSV",
    "own_run": "Evaluate",
    "own_waits": "Waiting in line …",
    "own_begins": "Opening the storytellers …",
    "own_download": "Download the report",
    "own_stopped": "Stopped.",
    "problem_file": "Choose a CSV file first.",
    "problem_many": "At most {most} storytellers at once.",
    "problem_long": "That took more than {most} minutes; choose fewer storytellers or stories.",
    "problem_broken": "Something went wrong here. It has been noted.",
    "problem_large": "The file has {megabytes:.1f} MB; at most {most:.3g} MB are read.",
    # The blind vote
    "vote": "Which story is better?",
    "vote_about": "Two storytellers go on from the same sentence; who they are is shown once you have picked.",
    "vote_ask": "Show me two stories",
    "vote_telling": "Two storytellers are writing …",
    "vote_left": "The left one",
    "vote_right": "The right one",
    "vote_first": "The left one is better",
    "vote_second": "The right one is better",
    "vote_tie": "Equally good",
    "vote_none": "Nobody has voted yet.",
    "vote_strength": "Strength (log-odds)",
    "vote_share": "Picked",
    "vote_votes": "Votes",
    "storyteller": "Storyteller",
    "problem_two": "Two storytellers must be ready for that.",
    "problem_vote": "The page has lost these stories; ask for two others.",
}
