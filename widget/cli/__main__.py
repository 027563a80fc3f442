"""python -m widget.cli: the same as `unjam`, from a checkout."""

from widget.cli import main

if __name__ == "__main__":
    main()
