"""The one error that speaks to a person: no traceback is shown for it, in the lab or on the command line."""


class RavelError(ValueError):
    """Bad input. Its text is one sentence: what was wrong, what was expected, what to do."""
