"""trainer: RL fine-tuning of language models from small pieces that compose.

Importing this package imports nothing else; ask a module for what you need::

    from trainer.algorithms.recipes import RECIPES
    from trainer.algorithms.objective import credit, objective
"""
