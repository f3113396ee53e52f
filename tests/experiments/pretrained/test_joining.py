import pytest

from rl3_sb3.experiments.pretrained.joining import seed_to_export

MEANS = {4: 70.0, 0: 76.0, 1: 73.0, 3: 72.0, 2: 73.0}


@pytest.mark.parametrize(
    ("at_hand", "exported"),
    [
        ([0, 1, 2, 3, 4], 1),  # of two with the median score the first
        ([0, 2, 3], 2),
        ([0, 3, 4], 3),
        ([0, 4], 0),  # both 3 away: the lower seed
        ([4], 4),
    ],
)
def test_the_policy_is_the_medians_or_the_nearest_at_hand(at_hand, exported):
    assert seed_to_export(MEANS, at_hand) == exported
    assert seed_to_export(MEANS, at_hand[::-1]) == exported


def test_of_an_even_number_the_lower_median_counts():
    assert seed_to_export({0: 1.0, 1: 4.0, 2: 2.0, 3: 9.0}, [0, 1, 3]) == 0
    assert seed_to_export({0: 1.0, 1: 4.0, 2: 2.0, 3: 9.0}, [0, 1, 2, 3]) == 2
