"""The game that the stand-in for the game API tells of: made up, and the same whenever it is asked.

Everything follows from names by arithmetic: an item, a clan, a character or a session looks the same in every run and
on every page of a listing. Times are told from the server's clock. The shapes are those of EXBO's API reference
(https://eapi.stalcraft.net/reference).
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any, TypeAlias
from uuid import UUID

from attrs import frozen

from .state import User

__all__ = ["REGIONS", "BadQuery", "Listing", "World"]

Record: TypeAlias = dict[str, Any]

REGIONS: Mapping[str, str] = {
    "RU": "RUSSIA",
    "EU": "EUROPE",
    "NA": "NORTH AMERICA",
    "SEA": "SOUTH EAST ASIA",
    "NEA": "NORTH EAST ASIA",
}
_ALLIANCES = ("stalkers", "bandits", "duty", "freedom", "merc", "covenant")
_RANKS = ("LEADER", "COLONEL", "OFFICER", "SERGEANT", "SOLDIER", "COMMONER", "RECRUIT")
_MAPS = ("big_cleanup", "shock_therapy", "sea_alienation")
_NAMES = ("Volk", "Mamont", "Sova", "Kedr", "Lotos", "Gamma", "Tuman", "Bars", "Iskra", "Ruda", "Topaz", "Zarya")
_ITEMS = ("y1q9", "p6y4k", "4q7p", "zzwrd", "jz9ld")
_BEGINNING = datetime(2022, 12, 1, tzinfo=UTC)
_EMISSIONS, _EMISSION = timedelta(hours=3), timedelta(minutes=5)
_CLANS, _LOTS, _SALES, _SESSIONS = 57, 43, 240, 64
_LIMIT, _HIGHEST_LIMIT = 20, 200


class BadQuery(Exception):
    """A query parameter that makes no sense: its `name` and what is wrong."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


def _roll(low: int, high: int, *of: object) -> int:
    """A number from `low` to `high` that belongs to these names."""
    digest = sha256("/".join(map(str, of)).encode("utf-8", "surrogateescape")).digest()
    return low + int.from_bytes(digest[:8], "big") % (high - low + 1)


def _uuid(*of: object) -> str:
    return str(UUID(bytes=sha256("/".join(map(str, of)).encode("utf-8", "surrogateescape")).digest()[:16], version=4))


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@frozen
class Listing:
    """What a caller wants to see of a list: the parameters of a query, read when they are needed."""

    query: Mapping[str, str]

    def _number(self, name: str, default: int, highest: int) -> int:
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdigit()):
            raise BadQuery(name, "This has to be a number, zero or more")
        return min(int(text), highest)

    def page(self, records: Iterable[Record]) -> list[Record]:
        start = self._number("offset", 0, 10**9)
        return list(islice(records, start, start + self._number("limit", _LIMIT, _HIGHEST_LIMIT)))

    def choice(self, name: str, choices: Iterable[str], default: str) -> str:
        text = self.query.get(name, default).lower()
        if text not in choices:
            raise BadQuery(name, f"This has to be one of {', '.join(choices)}")
        return text

    def moment(self, name: str) -> datetime | None:
        text = self.query.get(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadQuery(name, "This has to be a moment like 2026-01-31T12:00:00Z") from None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def sorted(
        self, records: Iterable[Record], keys: Mapping[str, Callable[[Record], Any]], default: str
    ) -> list[Record]:
        key = keys[self.choice("sort", keys, default)]
        descending = self.choice("order", ("asc", "ascending", "desc", "descending"), "desc").startswith("desc")
        return sorted(records, key=key, reverse=descending)

    def with_details(self, records: Iterable[Record]) -> list[Record]:
        """The records with their `additional`, as far as that was asked for."""
        wanted = self.query.get("additional", "false").lower() == "true"
        return [record if wanted else {**record, "additional": {}} for record in records]


@frozen
class World:
    """One region at a moment."""

    region: str
    now: datetime

    def emission(self) -> Record:
        """Every three hours for five minutes."""
        start = _BEGINNING + (self.now - _BEGINNING) // _EMISSIONS * _EMISSIONS
        running = self.now < start + _EMISSION
        previous = start - _EMISSIONS if running else start
        return {
            "currentStart": _written(start) if running else None,
            "previousStart": _written(previous),
            "previousEnd": _written(previous + _EMISSION),
        }

    # The auction

    def _hour(self) -> datetime:
        return self.now.replace(minute=0, second=0, microsecond=0)

    def lots(self, item: str, listing: Listing) -> Record:
        lots = _lots(World(self.region, self._hour()), item)
        keys: dict[str, Callable[[Record], Any]] = {
            "time_created": lambda lot: lot["startTime"],
            "time_left": lambda lot: lot["endTime"],
            "current_price": lambda lot: lot.get("currentPrice", lot["startPrice"]),
            "buyout_price": lambda lot: lot["buyoutPrice"],
        }
        shown = listing.page(listing.sorted(lots, keys, "time_created"))
        return {"total": len(lots), "lots": listing.with_details(shown)}

    def lot(self, item: str, number: int) -> Record:
        seed = (self.region, item, "lot", number)
        started = self._hour() - timedelta(minutes=_roll(0, 1400, *seed, "started"))
        price = _roll(1, 900, *seed) * 1000
        bid = {"currentPrice": price + _roll(1, 90, *seed, "bid") * 100} if number % 3 == 0 else {}
        return {
            "itemId": item,
            "amount": _roll(1, 20, *seed, "amount"),
            "startPrice": price,
            **bid,
            "buyoutPrice": price * 3,
            "startTime": _written(started),
            "endTime": _written(started + timedelta(hours=(12, 24, 48)[number % 3])),
            "additional": {"qlt": number % 6, "spawn_time": int(started.timestamp() * 1000)},
        }

    def history(self, item: str, listing: Listing) -> Record:
        """Sales, the newest first."""
        total = _roll(1, _SALES, self.region, item, "sales")
        shown = listing.page(self._sale(item, number) for number in range(total))
        return {"total": total, "prices": listing.with_details(shown)}

    def _sale(self, item: str, number: int) -> Record:
        seed = (self.region, item, "sale", number)
        amount = _roll(1, 10, *seed, "amount")
        return {
            "amount": amount,
            "price": amount * _roll(1, 900, *seed) * 1000,
            "time": _written(self._hour() - timedelta(minutes=17 * number + _roll(0, 16, *seed))),
            "additional": {"qlt": number % 6},
        }

    # Clans

    def clans(self, listing: Listing) -> Record:
        ids = (_uuid(self.region, "clan", number) for number in range(_CLANS))
        return {"totalClans": _CLANS, "data": listing.page(self.clan(clan) for clan in ids)}

    def clan(self, clan: str) -> Record:
        """Whatever it is called: nobody knows beforehand which clans there are in a made-up game."""
        seed = (self.region, clan)
        name = f"{_NAMES[_roll(0, 11, *seed)]}-{_roll(1, 99, *seed)}"
        return {
            "id": clan,
            "name": name,
            "tag": name[:4].upper(),
            "level": _roll(1, 12, *seed, "level"),
            "levelPoints": _roll(0, 90_000, *seed, "points"),
            "registrationTime": _written(_BEGINNING + timedelta(days=_roll(0, 900, *seed, "registered"))),
            "alliance": _ALLIANCES[_roll(0, 5, *seed, "alliance")],
            "description": "A clan of the sandbox",
            "leader": self._member(clan, 0)["name"],
            "memberCount": self._size(clan),
        }

    def _size(self, clan: str) -> int:
        return _roll(3, 30, self.region, clan, "members")

    def members(self, clan: str) -> list[Record]:
        return [self._member(clan, number) for number in range(self._size(clan))]

    def _member(self, clan: str, number: int) -> Record:
        seed = (self.region, clan, "member", number)
        return {
            "name": f"{_NAMES[_roll(0, 11, *seed)]}_{_roll(100, 999, *seed)}",
            "rank": _RANKS[min(number, len(_RANKS) - 1)],
            "joinTime": _written(_BEGINNING + timedelta(days=901 + number)),
        }

    def _membership(self, name: str) -> Record:
        clan = _uuid(self.region, "clan", _roll(0, _CLANS - 1, self.region, name))
        member = {**self._member(clan, _roll(1, self._size(clan) - 1, self.region, name)), "name": name}
        return {"info": self.clan(clan), "member": member}

    # Characters

    def characters(self, user: User) -> list[Record]:
        """Two of them, one in a clan."""
        name = user.display_login or user.login
        born = _BEGINNING + timedelta(days=_roll(0, 900, self.region, user.uuid))
        return [
            {
                "information": {"id": identity, "name": called, "creationTime": _written(born)},
                "clan": self._membership(called) if called == name else None,
            }
            for identity, called in ((str(user.uuid), name), (_uuid(user.uuid, "second"), f"{name}-2"))
        ]

    def friends(self, character: str) -> list[str]:
        numbers = range(_roll(1, 9, self.region, character, "friends"))
        return [str(self._member(character, number)["name"]) for number in numbers]

    def profile(self, name: str, user: User | None) -> Record:
        """Anybody's, since there is nobody whom the game does not know."""
        seed = (self.region, name)
        played = _roll(10, 900_000, *seed, "played")
        return {
            "username": name,
            "uuid": str(user.uuid) if user else _uuid(*seed),
            "status": "",
            "alliance": _ALLIANCES[_roll(0, 5, *seed, "alliance")],
            "lastLogin": _written(self._hour() - timedelta(minutes=_roll(1, 9000, *seed))),
            "displayedAchievements": ["first_steps", "explorer"],
            "clan": self._membership(name),
            "stats": [
                {"id": "kil", "type": "INTEGER", "value": _roll(0, 9000, *seed, "kills")},
                {"id": "sho-hit-rat", "type": "DECIMAL", "value": _roll(0, 1000, *seed, "hits") / 1000},
                {"id": "reg-tim", "type": "DATE", "value": _written(_BEGINNING)},
                {"id": "pla-tim", "type": "DURATION", "value": played * 1000},
            ],
        }

    # Operations

    def sessions(self, listing: Listing) -> Record:
        found = [session for session in _sessions(World(self.region, self._hour())) if _fits(session, listing)]
        keys: dict[str, Callable[[Record], Any]] = {
            "date_finish": lambda session: session["endTime"],
            "difficulty": lambda session: session["difficulty"],
        }
        return {"total": len(found), "sessions": listing.page(listing.sorted(found, keys, "date_finish"))}

    def session(self, number: int) -> Record:
        seed = (self.region, "session", number)
        seconds = _roll(300, 2400, *seed)
        ended = self._hour() - timedelta(minutes=41 * number)
        difficulty = _roll(1, 10, *seed, "difficulty")
        return {
            "id": 100_000 + number,
            "map": _MAPS[number % len(_MAPS)],
            "startTime": _written(ended - timedelta(seconds=seconds)),
            "endTime": _written(ended),
            "difficulty": difficulty,
            "sessionDurationSeconds": float(seconds),
            "difficultyReward": difficulty * 150,
            "participants": [self._participant(number, place) for place in range(4)],
        }

    def _participant(self, session: int, place: int) -> Record:
        seed = (self.region, "session", session, place)
        return {
            "username": str(self._member("operations", _roll(0, 19, *seed))["name"]),
            "death": _roll(0, 5, *seed, "deaths"),
            "mobKills": _roll(0, 300, *seed, "kills"),
            "damageReceived": _roll(0, 90_000, *seed, "received") / 10,
            "damageDealt": _roll(0, 900_000, *seed, "dealt") / 10,
            "armorClass": ("combat", "combined", "scientist", "devices")[_roll(0, 3, *seed, "armor")],
            "armorItemId": _ITEMS[_roll(0, 4, *seed, "armor item")],
            "armorLevel": _roll(0, 15, *seed, "armor level"),
            "primaryWeaponItemId": _ITEMS[_roll(0, 4, *seed, "weapon")],
            "primaryWeaponLevel": _roll(0, 15, *seed, "weapon level"),
            "secondaryWeaponItemId": None,
            "secondaryWeaponLevel": 0,
        }


# What has to be made as a whole to be sorted is made once an hour.


@lru_cache(maxsize=512)
def _lots(world: World, item: str) -> tuple[Record, ...]:
    return tuple(world.lot(item, number) for number in range(_roll(1, _LOTS, world.region, item, "lots")))


@lru_cache(maxsize=16)
def _sessions(world: World) -> tuple[Record, ...]:
    return tuple(map(world.session, range(_SESSIONS)))


def _fits(session: Record, listing: Listing) -> bool:
    ended = datetime.fromisoformat(session["endTime"])
    before, after = listing.moment("before"), listing.moment("after")
    place = listing.choice("map", _MAPS, session["map"])
    username = listing.query.get("username")
    return (
        session["map"] == place
        and (before is None or ended < before)
        and (after is None or ended > after)
        and (username is None or any(player["username"] == username for player in session["participants"]))
    )
