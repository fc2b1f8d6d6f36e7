from __future__ import annotations

from datetime import timedelta

from kiban.office.season.clock import Agenda, SeasonClock, jst


def test_things_are_done_in_the_order_of_their_time_and_then_of_their_entry() -> None:
    clock = SeasonClock(jst("2025-04-01 09:00"))
    agenda, done = Agenda(clock), list[tuple[str, object]]()

    def act(name: str) -> None:
        done.append((name, clock.now))

    agenda.at(jst("2025-04-03 09:00"), act, "third")
    agenda.at(jst("2025-04-02 09:00"), act, "first")
    agenda.at(jst("2025-04-02 09:00"), act, "second")
    agenda.at(jst("2025-04-02 09:00"), agenda.after, timedelta(hours=1), act, "between")
    agenda.at(jst("2025-05-01 09:00"), act, "never")
    agenda.run(jst("2025-04-04 09:00"))
    assert [name for name, _ in done] == ["first", "second", "between", "third"]
    assert done[2][1] == jst("2025-04-02 10:00")
    assert clock.now == jst("2025-04-04 09:00")


def test_what_should_have_been_done_is_done_now_and_never_before() -> None:
    clock = SeasonClock(jst("2025-04-01 09:00"))
    agenda, times = Agenda(clock), []
    agenda.at(jst("2025-03-01 09:00"), lambda: times.append(clock.now))
    agenda.run(jst("2025-04-02 09:00"))
    assert times == [jst("2025-04-01 09:00")]
