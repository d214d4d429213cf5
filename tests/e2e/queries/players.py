"""What the players of three games did in the 13 months before now: one event a line, in the order of their times.

  players.py --seed N --now-ms MS --application ID=NAME (three times) > sent.jsonl

Each line has all that a gateway is to be sent (event_data as text, or null), the application, and `again`: whether it
is to be sent a second time.

Most of it happened in the last 130 days; what is older is sparse, and is there for the months. No event is as old as
one of the bounds of late_events.sql, give or take the time that the test takes.
"""

import argparse
import json
import random
import sys
import uuid

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
# Ages that an event may not have, in milliseconds: at each bound of late_events.sql, some minutes to be on time.
UNSURE_AGES = [(bound - 12 * MINUTE, bound + MINUTE) for bound in (0, HOUR, DAY)]
PLAYERS = [55, 30, 9]
SCREENS = ["1_INTRO", "2_MOVEMENT", "3_WEAPONS", "4_FINISH"]
LEVELS = ["1", "2", "3", "9", "10", "boss"]
REASONS = ["GRIEFING", "CHEATING", "AFK", "RACISM/HARASSMENT", "sa\u00efd \"no\""]
CURRENCIES = ["USD", "EUR", "JPY"]
VERSIONS = [None, "1.0.0", "1.1.0", "1.2.0"]
ITEMS = [f"item_{number}" for number in range(8)]
SPELLS = ["WATER", "EARTH", "FIRE", "AIR"]


class Game:
    """One game's players, and what they did so far."""

    def __init__(self, draw, place, application, now_ms):
        self.draw, self.place, self.now_ms = draw, place, now_ms
        self.application_id, self.application_name = application.split("=")
        self.events = []

    def event(self, at_ms, event_type, data, version="1.1.0"):
        age = self.now_ms - at_ms
        if any(first <= age <= last for first, last in UNSURE_AGES):
            return
        # Enough of each type that it makes a difference whether they count twice.
        often = event_type in ("heartbeat", "user_registration", "user_report")
        # Escapes or not: the same JSON.
        text = None if data is None else json.dumps(data, ensure_ascii=self.draw.random() < 0.5)
        self.events.append({
            "application_id": self.application_id, "application_name": self.application_name,
            "event_id": str(uuid.UUID(int=self.draw.getrandbits(128))),
            "event_type": event_type, "event_name": f"{event_type}.v1", "app_version": version,
            "event_time_ms": at_ms, "event_data": text,
            "again": age < 0 or self.draw.random() < (0.5 if often else 0.15),
        })

    def player(self, number):
        draw = self.draw
        # The second game numbers its players, the others name them.
        player_id = 1_000 + number if self.place == 1 else f"p-{self.place}-\u00fc{number}"
        today = self.now_ms // DAY
        first = today - draw.choice([draw.randint(0, 12), draw.randint(0, 129), draw.randint(30, 129)])
        stays = draw.choice([0.15, 0.4, 0.75])
        played = 0
        for day in range(first, today + 1):
            since = day - first
            if since > 0 and draw.random() > max(stays * 0.97 ** since, 0.08):
                continue
            for _ in range(1 if draw.random() < 0.8 else 2):
                self.session(player_id, day, played)
                played += 1

    def session(self, player_id, day, played):
        draw, version = self.draw, self.draw.choice(VERSIONS)
        # A tenth begins so late that it goes on after midnight.
        late = draw.random() < 0.1
        at = day * DAY + (DAY - draw.randint(1, 10) * MINUTE if late else draw.randint(0, DAY - 1))
        who = {"player_id": player_id, "session_id": str(uuid.UUID(int=draw.getrandbits(128)))}
        steps = [("session_start", {"session_number": played}), ("login", {"platform": "pc"})]
        if played == 0:
            steps.append(("user_registration", {"country_id": "JAPAN"}))
            steps += [("tutorial_progression", {"tutorial_screen_id": screen})
                      for screen in SCREENS[:draw.randint(1, len(SCREENS))]]
        for _ in range(draw.randint(0, 5)):
            steps += self.pastime()
        if draw.random() < 0.8:
            steps.append(("logout", {}))
        for event_type, data in steps:
            if at < self.now_ms:
                self.event(at, event_type, who | data, version)
            at += draw.randint(1, 240 * SECOND)

    def pastime(self):
        draw = self.draw
        drawn = draw.random()
        if drawn < 0.4:
            level = {"level_id": draw.choice(LEVELS), "level_version": 1}
            ends = draw.choice(["level_completed", "level_failed", None])
            return [("level_started", level)] + ([(ends, level)] if ends else [])
        if drawn < 0.6:
            match = {"match_id": str(uuid.UUID(int=draw.getrandbits(128)))}
            spells = draw.choices(SPELLS, k=draw.randint(0, 2))
            knockouts = [("user_knockout", match | {"spell_id": spell}) for spell in spells]
            return [("match_start", match), *knockouts, ("match_end", match | {"match_result_type": "WIN"})]
        if drawn < 0.72:
            return [("item_viewed", {"item_id": draw.choice(ITEMS)}) for _ in range(draw.randint(1, 3))]
        if drawn < 0.84:
            return self.purchase()
        if drawn < 0.9:
            return [("user_report", {"report_reason": draw.choice(REASONS)})]
        # A rating that is missing or is none does not count.
        rating = draw.choice([1, 2, 3, 4, 5, 4.5, "5", None, "good"])
        return [("user_sentiment", {} if rating is None else {"user_rating": rating})]

    def purchase(self):
        draw = self.draw
        item = draw.choice(ITEMS)
        amount = draw.choice([1, 10, 0.99, 4.99, 19.5, 1299, "3.30", "free"])
        bought = {"item_id": item, "currency_type": draw.choice(CURRENCIES), "currency_amount": amount,
                  "transaction_id": str(uuid.UUID(int=draw.getrandbits(128)))}
        viewed = [("item_viewed", {"item_id": item})] if draw.random() < 0.6 else []
        # Now and then a shop reports a transaction a second time, as another event.
        return viewed + [("iap_transaction", bought)] * (2 if draw.random() < 0.1 else 1)

    def odds_and_ends(self):
        """What is old, what names no player or says nothing, and what comes from clocks that are ahead."""
        draw = self.draw
        for _ in range(120):
            event_type = draw.choice(["login", "user_registration", "iap_transaction"])
            data = {"player_id": "old", "transaction_id": str(draw.random()), "currency_type": "USD",
                    "currency_amount": 2}
            self.event(self.now_ms - draw.randint(100 * DAY, 395 * DAY), event_type, data)
        for _ in range(100):
            event_type = draw.choice(["login", "level_started", "server_started"])
            self.event(self.now_ms - draw.randint(0, 60 * DAY), event_type, draw.choice([None, {}, {"a": {}}]))
        for _ in range(30):
            self.event(self.now_ms + draw.randint(30 * MINUTE, 23 * HOUR), "login", {"player_id": "ahead"}, None)
        for _ in range(60):
            at = self.now_ms - draw.randint(2 * MINUTE, 40 * MINUTE)
            self.event(at, "heartbeat", {"player_id": draw.randint(1, 9)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--now-ms", type=int, required=True)
    parser.add_argument("--application", action="append", required=True)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    games = []
    for place, (application, players) in enumerate(zip(args.application, PLAYERS, strict=True)):
        game = Game(draw, place, application, args.now_ms)
        for number in range(players):
            game.player(number)
        game.odds_and_ends()
        games.append(game)
    # An id says nothing across games: the third has some that the first has, too.
    for one, other in zip(draw.sample(games[0].events, 40), draw.sample(games[2].events, 40)):
        other["event_id"] = one["event_id"]
    for event in sorted((event for game in games for event in game.events), key=lambda event: event["event_time_ms"]):
        print(json.dumps(event))


if __name__ == "__main__":
    sys.exit(main())
