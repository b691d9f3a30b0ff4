"""The attack of ``reliability.py`` in a few tries with a fixed seed: no faults."""

import os

import pytest
from reliability import ATTACKS, attacked

TRIES = {
    "logs: mutated": 25,
    "logs: cut, compared with the whole": 15,
    "logs: holes of NULs, compared with the whole": 15,
    "logs: changed while they are read": 3,
    "files of a run: mutated, under watch and report": 1,
    "runs: killed before a change of the file system": 1,
    "runs: damaged checkpoints": 1,
    "runs: states of strangers and other versions": 1,
    "knobs.json: any content": 40,
    "advice.json read while its writer is killed": 2,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the attack forks")
@pytest.mark.parametrize("name", TRIES)
def test_the_short_attack_shows_no_faults(name):
    (number, attack) = next((i, a) for i, a in enumerate(ATTACKS) if a.name == name)
    tally = attacked(attack, number, seed=1, seconds=None, tries=TRIES[name])
    assert tally.faults == []
    assert tally.tries == TRIES[name]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the attack forks")
def test_a_fault_is_counted_with_its_try():
    from attacks.tally import Attack

    attack = Attack("odd numbers", lambda work: lambda rng: "odd" if rng.integers(2) else "")
    tally = attacked(attack, 0, seed=0, seconds=None, tries=20)
    assert 0 < len(tally.faults) < 20
    assert all(fault.startswith("try ") for fault in tally.faults)
