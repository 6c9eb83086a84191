# SPDX-License-Identifier: Apache-2.0
"""`python -m chandelier`, and the command `chandelier`.

The command line is imported when it is called, not before: the children of the pool import the main module again.
"""


def main() -> None:
    """Run the command line."""
    from chandelier import cli

    cli.run()


if __name__ == "__main__":
    main()
