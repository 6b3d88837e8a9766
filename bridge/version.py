"""The package's version: it is told to people, and left on the channel for other processes."""

from typing import Final

VERSION: Final = "0.1.0"
