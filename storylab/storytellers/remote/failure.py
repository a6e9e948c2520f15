"""What goes wrong with an endpoint."""


class Failure(Exception):
    """An endpoint did not do what it was asked for; the message goes on with a sentence that begins with it.

    Args:
        message: What it did, without the key.
        again: Whether asking once more may help.
        dead: Whether nobody seems to be there.
        broken: Whether it stopped in the middle of a story.
        after: Seconds that the endpoint wants to be left alone; None where it doesn't say.
    """

    def __init__(
        self,
        message: str,
        *,
        again: bool = False,
        dead: bool = False,
        broken: bool = False,
        after: float | None = None,
    ):
        super().__init__(message)
        self.again, self.dead, self.broken, self.after = again, dead, broken, after
