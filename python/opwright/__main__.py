"""`python -m opwright` is the command `opwright`."""

from opwright.cli import main

if __name__ == "__main__":
    main()
