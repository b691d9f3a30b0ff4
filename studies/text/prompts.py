"""The open prompts of the text studies: for training, and others that are held out.

python studies/text/prompts.py      # writes prompts.jsonl and held_out.jsonl
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["HELD_OUT", "TRAIN", "rows"]

HERE = Path(__file__).resolve().parent
TRAIN, HELD_OUT = HERE / "prompts.jsonl", HERE / "held_out.jsonl"

USES = """
brick: wall build building construction house mortar
paper clip: paper papers document documents page
old sock: foot feet wear shoe
spoon: eat eating soup stir food
umbrella: rain sun wet weather
candle: light lamp flame burn
glass jar: store storage food drink
newspaper: read reading news
ladder: climb climbing reach
button: shirt coat clothes dress
rope: tie tying climb pull
bucket: water carry
plate: eat food meal dinner
coin: buy money pay
hammer: nail nails hit
bottle: drink water wine
pillow: sleep head bed
fork: eat eating food
shoe: foot feet wear walk
chair: sit sitting seat
""".strip()
HELD_USES = """
towel: dry drying bath
key: lock door open unlock
tire: car wheel road drive
pencil: write writing draw drawing
""".strip()
STORIES = """
fox lamp sea
dog rain letter
king bread moon
girl train snow
robot garden song
witch clock river
boy kite storm
cat mirror night
sailor map island
owl key forest
baker dragon bridge
horse wind gold
doctor ghost window
mouse cheese tower
queen apple winter
farmer star well
painter bird door
child ship dream
wolf fire mountain
bear honey road
""".strip()
HELD_STORIES = """
rabbit coat market
teacher bell desert
thief ring castle
fish cloud lighthouse
""".strip()
NAMES = """
tea: tea
app that finds lost keys: app key find
bakery: bakery bread
perfume: perfume scent
robot vacuum: robot vacuum clean
rock band: band rock
bookshop: book shop
running shoe: shoe run
ice cream: ice cream
travel agency: travel agency
toothpaste: tooth paste
board game: game board
energy drink: energy drink
flower shop: flower shop
hotel by the sea: hotel sea
mountain bike: bike mountain
""".strip()
HELD_NAMES = """
coffee: coffee
pet shop: pet shop
solar lamp: solar lamp
chocolate bar: chocolate bar
""".strip()


def rows(uses: str, stories: str, names: str) -> list[dict[str, Any]]:
    """A row for each prompt, with the columns that its quality needs."""
    made = []
    for line in uses.splitlines():
        subject, _, ordinary = line.partition(": ")
        article = "an" if subject[0] in "aeiou" else "a"
        text = f"Name an unusual use for {article} {subject}."
        made.append(_row("use", "Answer in one short sentence.", text, subject, (), ordinary))
    for line in stories.splitlines():
        one, two, three = line.split()
        text = f"Tell of a {one}, a {two} and a {three}."
        made.append(_row("story", "Answer in one short sentence.", text, line, line.split(), ""))
    for line in names.splitlines():
        subject, _, ordinary = line.partition(": ")
        text = f"Invent a name for a new {subject}."
        made.append(_row("name", "Answer with a name only.", text, subject, (), ordinary))
    return made


def _row(
    kind: str, system: str, text: str, subject: str, asked: Any, ordinary: str
) -> dict[str, Any]:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    return {
        "prompt": turns,
        "kind": kind,
        "subject": subject,
        "asked": list(asked),
        "ordinary": ordinary.split(),
    }


def main() -> None:
    for path, parts in (
        (TRAIN, (USES, STORIES, NAMES)),
        (HELD_OUT, (HELD_USES, HELD_STORIES, HELD_NAMES)),
    ):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(*parts)), encoding="utf-8")


if __name__ == "__main__":
    main()
