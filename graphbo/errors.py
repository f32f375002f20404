"""Errors that a user can mend; the command line prints them in one line and exits with code 2."""


class InputError(ValueError):
    """What the user gave cannot be used; the message says what would be right."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; it comes with the extra: pip install 'graphbo[{extra}]'"
        )
