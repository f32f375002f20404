"""``python -m graphbo`` is ``graphbo``."""

from graphbo.cli import main

if __name__ == "__main__":
    main()
