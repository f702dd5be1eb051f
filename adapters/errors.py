"""The error of a subject that cannot be driven; apart from the protocol, which loads NumPy."""


class SubjectError(Exception):
    """A subject that cannot be driven: the message says what was given, expected, and what to do."""
