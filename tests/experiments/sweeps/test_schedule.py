import zipfile
from collections import Counter, deque

import pytest

from rl3_sb3.experiments.sweeps.cell import Ending, Outcome
from rl3_sb3.experiments.sweeps.schedule import MAX_FRUITLESS_ATTEMPTS, run_cells

# Of a complete checkpoint.
MEMBERS = ("data", "policy.pth", "policy.optimizer.pth")
COMPLETE, STOPPED, LOST = (Outcome(e) for e in (Ending.COMPLETE, Ending.STOPPED, Ending.LOST))
FAILED, UNSEEN = Outcome(Ending.FAILED, "no"), Outcome(Ending.UNSEEN, "not shared")


class Script:
    """Workers, and a watcher, whose attempts end as it is written.

    Args:
        order: Whose folder gets the checkpoints.
        endings: By seed: outcomes in turn, each with whether the attempt left a checkpoint.
    """

    def __init__(self, order, endings):
        self.out = order.out
        self.endings = {seed: deque(each) for seed, each in endings.items()}
        self.running, self.most = deque(), 0
        self.started = Counter()
        self.seen = []

    def start(self, cell):
        self.running.append(cell)
        self.most = max(self.most, len(self.running))
        self.started[cell.config.seed] += 1

    def wait(self, seconds):
        cell = self.running.popleft()
        outcome, progress = self.endings[cell.config.seed].popleft()
        if progress:
            folder = self.out / cell.name / "checkpoints"
            folder.mkdir(parents=True, exist_ok=True)
            n_steps = 24 * self.started[cell.config.seed]
            with zipfile.ZipFile(folder / f"step-{n_steps:012d}.zip", "w") as file:
                for member in MEMBERS:
                    file.writestr(member, "")
        return [(cell, outcome)]

    def begins(self, cell):
        pass

    def ends(self, cell, outcome, *, again):
        self.seen.append((cell.config.seed, outcome.ending.value, again))

    def look(self):
        pass


@pytest.fixture
def run(make_cell, order):
    """Return a function that plays a script: by seed, the attempts' endings."""

    def play(endings, n_at_a_time=1, asked=lambda: False):
        script = Script(order, endings)
        cells = [make_cell(seed) for seed in endings]
        failed = run_cells(cells, order, script, script, n_at_a_time=n_at_a_time, asked=asked)
        return script, {cell.config.seed: failed.get(cell.name) for cell in cells}

    return play


def test_what_is_lost_or_stopped_alone_goes_on_as_long_as_it_gets_further(run):
    attempts = [(LOST, True), (STOPPED, True)] * MAX_FRUITLESS_ATTEMPTS
    script, failed = run({0: [*attempts, (COMPLETE, True)]})
    assert failed == {0: None}
    assert script.started[0] == 2 * MAX_FRUITLESS_ATTEMPTS + 1


def test_what_is_lost_again_and_again_without_progress_is_given_up_and_others_go_on(run):
    lost = [(LOST, False)] * 2 + [(LOST, True)] + [(LOST, False)] * MAX_FRUITLESS_ATTEMPTS
    script, failed = run({0: lost, 1: [(COMPLETE, True)]})
    assert failed == {0: LOST, 1: None}
    assert script.started == {0: len(lost), 1: 1}
    assert script.seen[-2:] == [(0, "lost", False), (1, "complete", False)]


@pytest.mark.parametrize("outcome", [FAILED, UNSEEN])
def test_what_failed_is_not_tried_again_and_others_go_on(run, outcome):
    script, failed = run({0: [(outcome, False)], 1: [(COMPLETE, True)]})
    assert failed == {0: outcome, 1: None}
    assert script.started == {0: 1, 1: 1}


def test_no_more_cells_run_at_a_time_than_allowed(run):
    endings = {seed: [(COMPLETE, True)] for seed in range(5)}
    assert run(endings, n_at_a_time=2)[0].most == 2


@pytest.mark.parametrize("outcome", [STOPPED, LOST, UNSEEN, COMPLETE])
def test_when_asked_to_stop_nothing_more_begins_and_nothing_has_failed(run, order, outcome):
    answers = iter([False, True, True])
    script, failed = run(
        {0: [(outcome, False)], 1: [(outcome, False)], 2: []},
        n_at_a_time=2,
        asked=lambda: next(answers),
    )
    # The first ends before anybody asked, the second after.
    assert script.started == {0: 1, 1: 1}
    assert script.seen[1] == (1, outcome.ending.value, False)
    assert failed[1] is None
    assert not order.token.exists()


def test_an_error_is_one_even_while_stopping(run):
    answers = iter([False, True, True])
    _, failed = run(
        {0: [(COMPLETE, True)], 1: [(FAILED, False)]}, n_at_a_time=2, asked=lambda: next(answers)
    )
    assert failed[1] == FAILED
