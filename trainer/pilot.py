from dataclasses import dataclass
@dataclass(frozen=True)
class Said:
    knobs: object; stop: bool; checkpoint: object; row: dict
class Pilot:
    @classmethod
    def check(cls, config): return cls()
    def seated(self, bench): return self
    def decide(self, folder, knobs, step): return Said(knobs, False, None, {"step": step})
