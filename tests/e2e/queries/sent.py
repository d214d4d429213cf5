"""What was sent, seen from a day: plain Python for the figures, no SQL and no lake."""

import datetime
import decimal
import fractions
import json

EPOCH = datetime.datetime(1970, 1, 1)


class Event:
    """An event as it was sent; `rows` is how often."""

    def __init__(self, sent):
        self.sent = sent
        self.app = sent["application_id"]
        self.app_name = sent["application_name"]
        self.id = sent["event_id"]
        self.type = sent["event_type"]
        self.name = sent["event_name"]
        self.version = sent["app_version"]
        self.ms = sent["event_time_ms"]
        self.text = sent["event_data"]
        self.rows = 2 if sent["again"] else 1
        self.data = {} if self.text is None else json.loads(self.text)
        self.time = EPOCH + datetime.timedelta(milliseconds=self.ms)
        self.day = self.time.date()
        self.player = self.get("player_id")

    def get(self, member):
        """A member of event_data as SQL sees it: text, or nothing."""
        value = self.data.get(member)
        return None if value is None or isinstance(value, dict) else str(value)

    def number(self, member):
        """A member as a number, where it is one."""
        try:
            return decimal.Decimal(self.get(member) or "")
        except decimal.InvalidOperation:
            return None


class Sent:
    """Everything that was sent, as one sees it on a day."""

    def __init__(self, events, today, now_ms):
        self.events, self.today, self.now_ms = events, today, now_ms

    def on(self, day):
        return Sent(self.events, day, self.now_ms)

    def last(self, days, *types, ahead=0):
        """The events of so many days, today included."""
        first, last = self.ago(days - 1), self.ago(-ahead)
        return [event for event in self.events if first <= event.day <= last and (not types or event.type in types)]

    def ago(self, days):
        return self.today - datetime.timedelta(days=days)

    def month(self, ago):
        """The month that was so many months before this one: year and month."""
        months = self.today.year * 12 + self.today.month - 1 - ago
        return months // 12, months % 12 + 1

    def of_month(self, ago, *types):
        found = [event for event in self.events if (event.day.year, event.day.month) == self.month(ago)]
        return [event for event in found if not types or event.type in types]


class Rounded:
    """A number that SQL shows with so many decimal places; what lies between two of them may become either."""

    def __init__(self, value, places):
        self.value, self.places = fractions.Fraction(value), places

    def __eq__(self, shown):
        if isinstance(shown, Rounded):
            return (self.value, self.places) == (shown.value, shown.places)
        if not isinstance(shown, (int, float)):
            return False
        scaled = shown * 10 ** self.places
        is_rounded = abs(scaled - round(scaled)) < 1e-6
        return is_rounded and abs(fractions.Fraction(shown) - self.value) * 10 ** self.places <= 0.5 + 1e-6

    def __repr__(self):
        return f"{float(self.value):.{self.places + 3}f}"


def percent(part, whole, places=1):
    return Rounded(fractions.Fraction(100 * part, whole), places) if whole else None


def nulls_last(value):
    """A key that sorts as SQL does, which puts what is missing last."""
    return value is None, value if value is not None else 0


def grouped(events, key):
    """Events by key, keys in ascending order."""
    groups = {}
    for event in events:
        groups.setdefault(key(event), []).append(event)
    return sorted(groups.items(), key=lambda group: tuple(nulls_last(part) for part in group[0]))


def players(events):
    return len({event.player for event in events} - {None})


def count(events, *types):
    return sum(1 for event in events if event.type in types)
