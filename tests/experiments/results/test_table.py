import numpy as np
import pytest

from rl3_sb3.experiments.evaluation.scores import Evaluation, Score
from rl3_sb3.experiments.results.table import aligned, evaluation_table


def evaluation(title, returns, oracle=(2.0, 6.0)):
    by_step = np.zeros(1)
    return Evaluation(
        domain="bandit",
        horizon=1,
        variation="canonical",
        n_training_steps=0,
        oracle=np.array(oracle),
        scores=[
            Score("random", "", np.array([0.0, 2.0]), by_step),
            Score(title, "sampled", np.array(returns), by_step),
            Score("oracle", "", np.array(oracle), None),
        ],
    )


def test_agents_of_several_evaluations_stand_in_one_table_with_the_oracle_last():
    table = evaluation_table([evaluation("RL²", [1.0, 3.0]), evaluation("RL³", [3.0, 5.0])])
    assert table == "\n".join(
        [
            "| agent        | total reward | of the oracle |",
            "| ------------ | ------------ | ------------- |",
            "| random       | 1.0 ± 1.0    | 0.250         |",
            "| RL², sampled | 2.0 ± 1.0    | 0.500         |",
            "| RL³, sampled | 4.0 ± 1.0    | 1.000         |",
            "| oracle       | 4.0 ± 2.0    | 1.000         |",
        ]
    )


def test_there_is_no_fraction_of_an_oracle_that_gets_nothing():
    table = evaluation_table([evaluation("RL²", [1.0, 3.0], oracle=(0.0, 0.0))])
    assert table.splitlines()[-1].split("|")[3].strip() == "-"


def test_all_lines_of_a_table_are_equally_long():
    lines = aligned(["a", "bb"], [["long entry", ""], ["", "x"]]).splitlines()
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("returns", "shown"),
    [
        ([0.0, 1.0] * 200, "0.500 ± 0.025"),
        ([0.1] * 3, "0.1 ± 0.0"),  # whose error is 1e-17
        ([2 / 3] * 4, "0.6667 ± 0.0"),
        ([-0.01, 0.01] * 2, "0.0000 ± 0.0058"),
        ([0.0, 0.1], "0.1 ± 0.1"),  # 0.05 rounds to 0.1
        ([1000.0, 1000.1] * 50, "1000.0500 ± 0.0050"),
    ],
)
def test_an_error_is_not_rounded_to_nothing(returns, shown):
    oracle = np.ones(len(returns))
    table = evaluation_table([evaluation("RL³", returns, oracle)])
    assert f"| RL³, sampled | {shown} " in table


def test_of_a_single_task_no_error_is_told():
    table = evaluation_table([evaluation("RL³", [3.0], oracle=(6.0,))])
    assert "| RL³, sampled | 3.0          | 0.500         |" in table
    assert "nan" not in table
