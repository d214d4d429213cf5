"""What each query has to answer, computed from what was sent, without SQL: one function for each file, named as it is.

A function gets a `Sent`, and gives the rows in their order.
"""

import datetime
import fractions
import statistics

from sent import Rounded, count, grouped, nulls_last, percent, players


def by_day(event):
    return event.day, event.app


def month_text(month):
    return f"{month[0]:04}-{month[1]:02}"


def latest_events(sent):
    events = sorted(sent.last(2), key=lambda event: (-event.ms, event.id))[:10]
    return [(e.time, e.app_name, e.type, e.name, e.version, e.id, e.text) for e in events]


def total_events(sent):
    rows = [(app, events[0].app_name, len(events)) for (app,), events in grouped(sent.last(30), lambda e: (e.app,))]
    return sorted(rows, key=lambda row: (-row[2], row[0]))


def total_events_by_month(sent):
    months = [(month_text(sent.month(ago)), sent.of_month(ago)) for ago in range(11, -1, -1)]
    return [(month, app, len(events)) for month, all_events in months
            for (app,), events in grouped(all_events, lambda e: (e.app,))]


def total_logins(sent):
    return [(*key, len(events), players(events)) for key, events in grouped(sent.last(30, "login"), by_day)]


def total_plays(sent):
    return [(*key, count(events, "match_start"), count(events, "level_started"), players(events))
            for key, events in grouped(sent.last(30, "match_start", "level_started"), by_day)]


def total_iap_transactions_last_month(sent):
    month = month_text(sent.month(1))
    return [(month, app, len(events), len({e.get("transaction_id") for e in events}), players(events))
            for (app,), events in grouped(sent.of_month(1, "iap_transaction"), lambda e: (e.app,))]


def new_users_last_month(sent):
    month = month_text(sent.month(1))
    return [(month, app, len(events))
            for (app,), events in grouped(sent.of_month(1, "user_registration"), lambda e: (e.app,))]


def levels(sent, *types):
    """Events of 30 days by game and level; levels that are numbers first, as numbers."""
    groups = grouped(sent.last(30, *types), lambda e: (e.app, e.get("level_id")))
    number = {str(number): number for number in range(100)}
    return sorted(groups, key=lambda g: (g[0][0], nulls_last(number.get(g[0][1])), nulls_last(g[0][1])))


def total_plays_by_level(sent):
    return [(*key, len(events)) for key, events in levels(sent, "level_started")]


def total_failures_by_level(sent):
    return [(*key, len(events)) for key, events in levels(sent, "level_failed")]


def total_completions_by_level(sent):
    return [(*key, len(events)) for key, events in levels(sent, "level_completed")]


def level_completion_rate(sent):
    rows = []
    for key, events in levels(sent, "level_started", "level_completed", "level_failed"):
        plays, completions = count(events, "level_started"), count(events, "level_completed")
        rows.append((*key, plays, completions, count(events, "level_failed"), percent(completions, plays)))
    return rows


def user_sentiment_per_day(sent):
    rows = []
    for key, events in grouped(sent.last(30, "user_sentiment"), by_day):
        ratings = [rating for rating in (event.number("user_rating") for event in events) if rating is not None]
        average = Rounded(fractions.Fraction(sum(ratings)) / len(ratings), 2) if ratings else None
        rows.append((*key, len(ratings), average))
    return rows


def user_reported_reasons(sent):
    groups = grouped(sent.last(30, "user_report"), lambda e: (e.app, e.get("report_reason")))
    return sorted(((*key, len(events)) for key, events in groups), key=lambda row: (row[0], -row[2], row[1]))


def create_purchases_table(sent):
    events = sorted(sent.last(90, "iap_transaction"), key=lambda event: (event.app, event.id))
    return [(e.id, e.app, e.time, e.player, e.get("item_id"), e.get("currency_type"), e.number("currency_amount"),
             f"{e.day:%Y}", f"{e.day:%m}", f"{e.day:%d}") for e in events]


def daily_unique_users(sent):
    return [(*key, players(events), len(events)) for key, events in grouped(sent.last(30), by_day)]


def active_users(sent):
    of_day = {}
    for event in sent.last(59):
        if event.player is not None:
            of_day.setdefault((event.day, event.app), set()).add(event.player)
    rows = []
    for day, app in sorted(of_day):
        if day < sent.ago(29):
            continue
        active = [set().union(*(of_day.get((day - datetime.timedelta(ago), app), set()) for ago in range(days)))
                  for days in (1, 7, 30)]
        dau, wau, mau = map(len, active)
        rows.append((day, app, dau, wau, mau, percent(dau, mau)))
    return rows


def retention(sent):
    days_of = {}
    for event in sent.last(90):
        if event.player is not None:
            days_of.setdefault((event.app, event.player), set()).add(event.day)
    cohorts = {}
    for (app, _), days in days_of.items():
        first = min(days)
        if first >= sent.ago(59):
            cohorts.setdefault((first, app), []).append({(day - first).days for day in days})
    return [(day, app, len(ages), *(percent(sum(n in seen for seen in ages), len(ages)) if day < sent.ago(n) else None
                                    for n in (1, 7, 30)))
            for (day, app), ages in sorted(cohorts.items())]


def sessions_per_day(sent):
    begun = [event for event in sent.last(31) if event.get("session_id") is not None]
    days = {}
    for (app, _), events in grouped(begun, lambda e: (e.app, e.get("session_id"))):
        times = [event.ms for event in events]
        day = min(event.day for event in events)
        if day >= sent.ago(29):
            seconds = fractions.Fraction(max(times) - min(times), 1_000)
            days.setdefault((day, app), []).append((seconds, events[0].player))
    rows = []
    for key, sessions in sorted(days.items()):
        lengths = [seconds for seconds, _ in sessions]
        median, longest = Rounded(statistics.median(lengths), 3), Rounded(max(lengths), 3)
        rows.append((*key, len(sessions), len({player for _, player in sessions}), median, longest))
    return rows


def revenue(events):
    amounts = [amount for amount in (event.number("currency_amount") for event in events) if amount is not None]
    return sum(amounts) if amounts else None


def revenue_by_currency_per_day(sent):
    groups = grouped(sent.last(30, "iap_transaction"), lambda e: (*by_day(e), e.get("currency_type")))
    return [(*key, len(events), players(events), revenue(events)) for key, events in groups]


def arpdau(sent):
    dau = {key: players(events) for key, events in grouped(sent.last(30), by_day)}
    rows = []
    for row in revenue_by_currency_per_day(sent):
        (day, app, currency, _, buyers, spent), active = row, dau[row[:2]]
        each = None if spent is None else Rounded(fractions.Fraction(spent) / active, 4)
        rows.append((day, app, currency, active, buyers, percent(buyers, active), spent, each))
    return rows


def tutorial_funnel(sent):
    rows, first, previous = [], {}, {}
    for key, events in grouped(sent.last(30, "tutorial_progression"), lambda e: (e.app, e.get("tutorial_screen_id"))):
        app, reached = key[0], players(events)
        of_previous = percent(reached, previous[app]) if app in previous else None
        rows.append((*key, reached, percent(reached, first.setdefault(app, reached)), of_previous))
        previous[app] = reached
    return rows


def level_funnel(sent):
    rows = []
    for key, events in levels(sent, "level_started", "level_completed"):
        begun = [event for event in events if event.type == "level_started" and event.player is not None]
        tried, past = players(begun), players([event for event in events if event.type == "level_completed"])
        each = Rounded(fractions.Fraction(len(begun), tried), 2) if tried else None
        if tried or past:
            rows.append((*key, tried, past, percent(past, tried), each))
    return rows


def late_events(sent):
    rows = []
    for key, events in grouped(sent.last(30, ahead=1), by_day):
        hours = [fractions.Fraction(sent.now_ms - event.ms, 3_600_000) for event in events]
        ahead, hour = sum(age < 0 for age in hours), sum(0 <= age < 1 for age in hours)
        day = sum(1 <= age < 24 for age in hours)
        rows.append((*key, len(events), ahead, hour, day, len(events) - ahead - hour - day))
    return rows


def duplicate_rows(sent):
    rows = []
    for key, events in grouped(sent.last(30), by_day):
        stored = sum(event.rows for event in events)
        again = stored - len(events)
        rows.append((*key, stored, len(events), again, percent(again, stored, 2)))
    return rows


def events_by_type(sent):
    groups = grouped(sent.last(7), lambda e: (e.app, e.type))
    rows = [(*key, len(events), players(events)) for key, events in groups]
    return sorted(rows, key=lambda row: (row[0], -row[2], row[1]))


def logins_by_app_version(sent):
    groups = grouped(sent.last(7, "login"), lambda e: (e.app, e.version))
    rows = [(*key, len(events), players(events)) for key, events in groups]
    return sorted(rows, key=lambda row: (row[0], -row[2], nulls_last(row[1])))


def knockouts_by_spell(sent):
    groups = grouped(sent.last(30, "user_knockout"), lambda e: (e.app, e.get("spell_id")))
    return sorted(((*key, len(events)) for key, events in groups), key=lambda row: (row[0], -row[2], row[1]))


def busiest_minutes(sent):
    groups = grouped(sent.last(2), lambda e: (e.time.replace(second=0, microsecond=0), e.app))
    rows = [(*key, len(events), players(events)) for key, events in groups]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))[:10]


def item_conversion(sent):
    named = [e for e in sent.last(30, "item_viewed", "iap_transaction") if e.player is not None]
    rows = []
    for key, events in grouped(named, lambda e: (e.app, e.get("item_id"))):
        viewers = {event.player for event in events if event.type == "item_viewed"}
        buyers = {event.player for event in events if event.type == "iap_transaction"} & viewers
        rows.append((*key, len(viewers), len(buyers), percent(len(buyers), len(viewers))))
    return rows


# Their answer is the same whether or not an event that is there twice counts twice: they count players, or measure.
BLIND_TO_DUPLICATES = {"active_users", "item_conversion", "retention", "sessions_per_day", "tutorial_funnel"}
FIGURES = {function.__name__: function for function in (
    latest_events, total_events, total_events_by_month, total_logins, total_plays, total_iap_transactions_last_month,
    new_users_last_month, total_plays_by_level, total_failures_by_level, total_completions_by_level,
    level_completion_rate, user_sentiment_per_day, user_reported_reasons, create_purchases_table, daily_unique_users,
    active_users, retention, sessions_per_day, revenue_by_currency_per_day, arpdau, tutorial_funnel, level_funnel,
    late_events, duplicate_rows, events_by_type, logins_by_app_version, knockouts_by_spell, busiest_minutes,
    item_conversion,
)}
