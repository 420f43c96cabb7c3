"""Links: addresses of pages of the documentation, for messages that say more there."""

_DOCS = "https://scpdex.readthedocs.io/en/stable"


def page(name: str, section: str) -> str:
    """Give the address of a section of a page, by the name of its file and the anchor of its heading."""
    return f"{_DOCS}/{name}.html#{section}"
