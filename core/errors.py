"""The one error that speaks to a person: nowhere is a traceback shown for it."""


class RavelError(ValueError):
    """Bad input. Its text is one sentence: what was wrong, what was expected, what to do."""
