from PIL import Image

from rl3_sb3.experiments.films.events import events
from rl3_sb3.experiments.films.shot import Film, Shot

GOAL, DANGER = 100.0, -100.0


def film_of(*episodes):
    """A film of episodes, each a number of steps and its last reward; 0: the last goes on."""
    shots, step = [], 0
    for number, (length, reward) in enumerate(episodes, start=1):
        for i in range(length + 1):
            ended = "terminated" if i == length and reward else ""
            shots.append(
                Shot(
                    Image.new("P", (1, 1)),
                    episode=number,
                    step=step + i,
                    total=0.0,
                    reward=reward if ended else -1.0,
                    starts=i == 0,
                    ended=ended,
                )
            )
        step += length
    return Film("RL³", step, shots)


def told(film):
    return [(event.name, event.shot.step, event.shot.episode) for event in events(film)]


def test_the_story_of_a_meta_episode_is_told_in_order():
    film = film_of((9, DANGER), (30, GOAL), (12, GOAL), (5, DANGER), (8, GOAL), (20, 0))
    assert told(film) == [
        ("before the goal", 38, 2),
        ("first goal", 39, 2),
        ("exploitation", 64, 5),
        ("end", 84, 6),
    ]


def test_who_finds_no_goal_has_only_an_end():
    assert told(film_of((9, DANGER), (3, 0))) == [("end", 12, 2)]


def test_a_goal_in_the_last_step_is_not_told_twice():
    assert told(film_of((9, GOAL))) == [("before the goal", 8, 1), ("first goal", 9, 1)]
    assert told(film_of((9, GOAL), (4, GOAL)))[-1] == ("exploitation", 13, 2)
