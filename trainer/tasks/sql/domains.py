"""What the generated databases are about: shops and their items, schools and their pupils, …

Every word is short and in lower case, so that a small model can learn to copy it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CROSS_DOMAINS", "DOMAINS", "Domain", "Entity"]

Words = tuple[str, ...]


@dataclass(frozen=True)
class Entity:
    """A kind of thing: a table, one row of it, its possible names, texts and numbers."""

    table: str
    one: str
    names: Words
    numbers: Mapping[str, tuple[int, int]]
    texts: Mapping[str, Words]


@dataclass(frozen=True)
class Domain:
    """A parent table and a child table whose rows each belong to a parent."""

    parent: Entity
    child: Entity


def _words(text: str) -> Words:
    return tuple(text.split())


CITY = _words("rome paris oslo lima cairo")
COLOR = _words("red blue green black white")
SIZE = _words("small medium large")
LEVEL = _words("low middle high")
FIRST = _words("ada ben cleo dan eva finn gina hugo iris jack kim leo")
LAST = _words("adams brown clark davis evans ford green hill")
HOUSE = _words("alpha bravo delta echo nova orion sigma zulu")
FRUIT = _words("apple pear plum fig lemon melon grape cherry")


def _entity(
    table: str,
    one: str,
    names: Words,
    numbers: Mapping[str, tuple[int, int]],
    texts: Mapping[str, Words] | None = None,
) -> Entity:
    return Entity(table, one, names, numbers, texts or {})


DOMAINS: tuple[Domain, ...] = (
    Domain(
        _entity(
            "shops",
            "shop",
            HOUSE,
            {"staff": (2, 60), "area": (40, 400)},
            {"city": CITY, "type": _words("food books toys music")},
        ),
        _entity("items", "item", FRUIT, {"price": (1, 90), "stock": (1, 200)}),
    ),
    Domain(
        _entity(
            "schools",
            "school",
            HOUSE,
            {"rooms": (5, 60), "year": (1900, 2020)},
            {"city": CITY, "level": LEVEL},
        ),
        _entity("pupils", "pupil", FIRST, {"age": (6, 19), "score": (1, 100)}),
    ),
    Domain(
        _entity(
            "libraries",
            "library",
            HOUSE,
            {"seats": (10, 300), "floors": (1, 12)},
            {"city": CITY, "size": SIZE},
        ),
        _entity(
            "books",
            "book",
            _words("river stone mirror garden winter harbor candle island"),
            {"pages": (50, 900), "year": (1900, 2020)},
        ),
    ),
    Domain(
        _entity(
            "clinics",
            "clinic",
            HOUSE,
            {"beds": (5, 120), "staff": (4, 90)},
            {"city": CITY, "type": _words("heart eye skin child")},
        ),
        _entity("doctors", "doctor", LAST, {"age": (28, 66), "salary": (40, 200)}),
    ),
    Domain(
        _entity(
            "teams",
            "team",
            _words("lions bears eagles wolves sharks hawks tigers bulls"),
            {"wins": (0, 40), "points": (5, 99)},
            {"city": CITY, "color": COLOR},
        ),
        _entity("players", "player", FIRST, {"goals": (0, 50), "age": (17, 39)}),
    ),
    Domain(
        _entity(
            "farms",
            "farm",
            HOUSE,
            {"area": (10, 500), "workers": (1, 40)},
            {"region": _words("north south east west"), "size": SIZE},
        ),
        _entity(
            "animals",
            "animal",
            _words("daisy bella rocky molly oscar ruby coco max"),
            {"weight": (2, 700), "age": (1, 20)},
        ),
    ),
    Domain(
        _entity(
            "hotels",
            "hotel",
            HOUSE,
            {"rooms": (8, 300), "stars": (1, 12)},
            {"city": CITY, "type": _words("beach ski spa golf")},
        ),
        _entity("guests", "guest", LAST, {"nights": (1, 30), "paid": (50, 900)}),
    ),
    Domain(
        _entity(
            "labels",
            "label",
            HOUSE,
            {"year": (1930, 2020), "staff": (3, 80)},
            {"genre": _words("rock jazz pop folk"), "city": CITY},
        ),
        _entity(
            "songs",
            "song",
            _words("dawn ember echoes fever golden hollow ivory jungle"),
            {"length": (90, 400), "plays": (1, 999)},
        ),
    ),
)

CROSS_DOMAINS: tuple[Domain, ...] = (
    Domain(
        _entity(
            "zoos",
            "zoo",
            HOUSE,
            {"visits": (10, 900), "keepers": (3, 60)},
            {"country": _words("peru chad cuba iran laos"), "size": SIZE},
        ),
        _entity("bears", "bear", FIRST, {"weight": (60, 600), "cubs": (0, 12)}),
    ),
    Domain(
        _entity(
            "airlines",
            "airline",
            HOUSE,
            {"planes": (2, 300), "routes": (1, 90)},
            {"hub": CITY, "color": COLOR},
        ),
        _entity("pilots", "pilot", LAST, {"hours": (100, 9000), "age": (25, 64)}),
    ),
    Domain(
        _entity(
            "museums",
            "museum",
            HOUSE,
            {"halls": (1, 40), "opened": (1800, 2020)},
            {"city": CITY, "topic": _words("art war trains dolls")},
        ),
        _entity(
            "statues",
            "statue",
            _words("hero dancer thinker rider archer sailor queen monk"),
            {"height": (20, 700), "value": (1, 999)},
        ),
    ),
    Domain(
        _entity(
            "garages",
            "garage",
            LAST,
            {"lifts": (1, 20), "rating": (1, 50)},
            {"town": _words("bath york leeds derby"), "level": LEVEL},
        ),
        _entity(
            "cars",
            "car",
            _words("comet falcon mustang puma rapid swift vega viper"),
            {"miles": (1, 900), "price": (2, 99)},
        ),
    ),
)
