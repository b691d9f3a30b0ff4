"""``python -m trainer`` is ``qdtrain``."""

from trainer.cli.app import main

if __name__ == "__main__":
    main()
