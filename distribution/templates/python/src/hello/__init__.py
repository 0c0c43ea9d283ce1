"""Greets."""

import sys


def greeting(name: str) -> str:
    """A greeting with the number of letters of the name."""
    return f"Hello, {name}! Your name has {len(name)} letters."


def main() -> None:
    """What the program `hello` does."""
    print(greeting(sys.argv[1] if len(sys.argv) > 1 else "world"))
