"""A display that keeps what it is called with."""

from trainer.pretrain.display import Silent


class Notes(Silent):
    """Keeps what a display is called with."""

    def __init__(self):
        self.losses, self.phases, self.measures = [], [], []

    def phase(self, name):
        self.phases.append(name)

    def advance(self, step, steps, loss):
        self.losses.append(loss)

    def measured(self, number, measures):
        self.measures.append((number, measures))
