"""What goes wrong while setting up, as one sentence for whoever typed the command."""


class StackError(Exception):
    """``str()`` is one sentence: what is wrong and what to do."""
