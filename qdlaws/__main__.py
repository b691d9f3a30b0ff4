"""``python -m qdlaws`` is the command ``qdlaws``."""

from qdlaws.cli import main

if __name__ == "__main__":
    main()
