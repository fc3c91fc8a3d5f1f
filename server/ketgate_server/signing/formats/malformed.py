"""What every reader of foreign bytes raises, and nothing else."""


class Malformed(ValueError):  # noqa: N818 - a state of the bytes
    """Bytes that are not what they should be. The message names what is wrong, and shows none of them."""
