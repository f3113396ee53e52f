import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.utils import LinearSchedule

from rl3_sb3.experiments.settings.schedules import Schedule

FINITE = st.floats(-1e6, 1e6)
SHARES = st.floats(0.01, 1)


@given(start=FINITE, end=FINITE, share=SHARES)
def test_text_and_schedule_stand_for_each_other(start, end, share):
    schedule = Schedule(start, end, share)
    assert Schedule.parse(str(schedule)) == schedule


@given(start=FINITE, end=FINITE, share=SHARES, progress=st.floats(0, 1))
def test_it_is_stable_baselines_linear_schedule(start, end, share, progress):
    ours, theirs = Schedule(start, end, share), LinearSchedule(start, end, share)
    assert ours(progress) == pytest.approx(theirs(progress), rel=1e-12, abs=1e-6)


@given(start=st.floats(0, 1), end=st.floats(0, 1), share=SHARES, n=st.integers(1, 400))
def test_it_never_leaves_the_range_between_its_ends(start, end, share, n):
    schedule = Schedule(start, end, share)
    for i in range(n + 1):
        assert min(start, end) <= schedule.at(i / n) <= max(start, end)


def test_a_share_that_rounding_would_overshoot_ends_at_the_end():
    assert Schedule(0.08, 1.0, 0.6).at(0.6) == 1.0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.3:1@0.5", [0.3, 0.65, 1.0, 1.0, 1.0]),
        ("1e-3:1e-4", [1e-3, 7.75e-4, 5.5e-4, 3.25e-4, 1e-4]),
        (".5:0.", [0.5, 0.375, 0.25, 0.125, 0.0]),
    ],
)
def test_values_by_hand_at_each_quarter_of_the_run(text, values):
    schedule = Schedule.parse(text)
    assert [schedule.at(i / 4) for i in range(5)] == pytest.approx(values)


@pytest.mark.parametrize(
    "text", ["", "1", "1:", ":1", "1:2@", "1:2@0", "1:2@1.5", "1->2", "a:b", "\u0660:1"]
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"schedule must (look|be)"):
        Schedule.parse(text)
