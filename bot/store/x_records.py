"""Everything about X in the store: five groups of use cases on one database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.store.x_attempts import XAttempts
from bot.store.x_mentions import XMentions
from bot.store.x_money import XMoney
from bot.store.x_people import XPeople
from bot.store.x_timeline import XTimeline

if TYPE_CHECKING:
    from bot.store.database import Database


class XRecords:
    """The tables of the X adapter.

    Attributes:
        timeline: How far mentions were read.
        mentions: Where each of them stands.
        people: What is remembered about authors.
        attempts: Attempts to post a reply.
        money: What calls cost.
    """

    def __init__(self, database: Database) -> None:
        self.timeline = XTimeline(database)
        self.mentions = XMentions(database)
        self.people = XPeople(database)
        self.attempts = XAttempts(database)
        self.money = XMoney(database)
