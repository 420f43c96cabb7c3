"""Links: addresses of documentation pages, for messages."""

_DOCS = "https://scpdex.readthedocs.io/en/stable"


def page(name: str, section: str) -> str:
    """Give the address of a section: ``name`` is the page's file without suffix, ``section`` its heading's anchor."""
    return f"{_DOCS}/{name}.html#{section}"
