"""The one exception of the package that is meant for people."""


class StoryLabError(Exception):
    """Input or state that a person can mend; the message is one clear line that says what and where."""
