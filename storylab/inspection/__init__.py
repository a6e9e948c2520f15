"""A look inside: what a storyteller expected at each token, and what the settings make of that."""
