"""The two ways in which a peer does not come up."""


class Missing(Exception):
    """It can't be had on this machine. Says why and what would mend it."""


class Broken(Exception):
    """It should have worked. Says what happened."""
