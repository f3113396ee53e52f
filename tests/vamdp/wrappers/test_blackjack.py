"""Blackjack, whose episodes end in observations that also occur in play, against its optimum."""

import itertools

import gymnasium
import numpy as np
import pytest

import vamdp

#: The deck is infinite: (value, probability), an ace being 1.
CARDS = [(card, 4 / 13 if card == 10 else 1 / 13) for card in range(1, 11)]


def add(total, ace, card):
    """The hand after one more card; total counts a usable ace as 11."""
    if card == 1 and total <= 10:
        return total + 11, True
    total += card
    return (total - 10, False) if ace and total > 21 else (total, ace)


def dealers_ends(total, ace):
    """The probability of each total that a dealer who draws to 17 ends with; 22 is a bust."""
    if total >= 17:
        return {min(total, 22): 1.0}
    ends = {}
    for card, p in CARDS:
        for end, q in dealers_ends(*add(total, ace, card)).items():
            ends[end] = ends.get(end, 0) + p * q
    return ends


ENDS = {dealer: dealers_ends(*add(0, False, dealer)) for dealer in range(1, 11)}


def outcome(total, end):
    return 1 if end == 22 else np.sign(total - end)


def hand_values(total, dealer, ace, memo):
    """Q of sticking and hitting; memo collects {(total, dealer, ace): Q}."""
    if (total, dealer, ace) not in memo:
        stick = sum(p * outcome(total, end) for end, p in ENDS[dealer].items())
        hit = 0.0
        for card, p in CARDS:
            after, after_ace = add(total, ace, card)
            hit += p * (
                -1 if after > 21 else hand_values(after, dealer, int(after_ace), memo).max()
            )
        memo[total, dealer, ace] = np.array([stick, hit])
    return memo[total, dealer, ace]


@pytest.fixture(scope="module")
def optimum():
    """The optimal Q of each hand in Blackjack-v1."""
    memo = {}
    for total, dealer in itertools.product(range(4, 22), range(1, 11)):
        hand_values(total, dealer, 0, memo)
        if total >= 12:
            hand_values(total, dealer, 1, memo)
    return memo


def test_the_optimum_is_the_basic_strategy(optimum):
    """Without doubling and splitting; what the next test measures against."""
    assert all(optimum[17, dealer, 0].argmax() == 0 for dealer in range(2, 11))
    twelve = [int(optimum[12, dealer, 0].argmax()) for dealer in range(2, 8)]
    assert twelve == [1, 1, 0, 0, 0, 1]
    assert optimum[16, 10, 0].argmax() == 1
    assert optimum[17, 6, 1].argmax() == 1


def test_values_come_near_the_optimum_though_ends_look_like_play(optimum, tools):
    env = gymnasium.make("Blackjack-v1")
    env = vamdp.ValueAugment(env, task_horizon=12, state_key=tuple, smoothing=0.0)
    tools.play(env, 0, 16_000)
    errors, clear_cases = [], []
    for hand, Q in optimum.items():
        if env.estimator.counts(hand).min() >= 30:
            estimate = env.estimator.q_values(hand)
            errors.append(np.abs(estimate - Q).mean())
            if abs(Q[0] - Q[1]) > 0.2:
                clear_cases.append(estimate.argmax() == Q.argmax())
    assert len(errors) > 80
    assert np.mean(errors) < 0.12
    assert len(clear_cases) > 40
    assert np.mean(clear_cases) > 0.95
