import numpy as np
import pytest

import vamdp
from vamdp.estimators import BUILT_INS, Scales
from vamdp.estimators.linear.linear_learner import LinearLearner

N_STATES, A = 4, 3


class OneHot:
    """A transformer of the kind that scikit-learn fits: states (n, 1) -> (n, N_STATES)."""

    def __init__(self):
        self.seen = []

    def transform(self, states):
        self.seen.append(states.ravel().tolist())
        return np.eye(N_STATES)[states[:, 0].astype(int)]


def linear(n_actions=A, n_tasks=1, **options):
    return LinearLearner(n_tasks, n_actions, **{"n_improvements": 50} | options)


def learn(learner, s, a, r, s_next, end=False, mask=None):
    masks = None if mask is None else [mask]
    learner.update(np.atleast_2d(s), [a], [r], np.atleast_2d(s_next), [end], masks)


def walk(seed, n_steps, n_states=N_STATES, d=None):
    """Transitions of one task; states are numbers, or rows of d reals."""
    rng = np.random.default_rng(seed)
    for _ in range(n_steps):
        s, s_next = rng.integers(n_states, size=2) if d is None else rng.normal(size=(2, d))
        yield s, int(rng.integers(A)), float(rng.normal()), s_next, bool(rng.random() < 0.2)


# One-hot features: the tabular case


def empirical(steps):
    """Counts N[s, a, s'], total rewards and visits of a walk; ends lead nowhere."""
    N, total = np.zeros((N_STATES, A, N_STATES)), np.zeros((N_STATES, A))
    visits = np.zeros((N_STATES, A))
    for s, a, r, s_next, end in steps:
        visits[s, a] += 1
        total[s, a] += r
        N[s, a, s_next] += not end
    return N, total, visits


def look(learner):
    return np.array([learner.q_values([[float(s)]])[0] for s in range(N_STATES)])


@pytest.mark.parametrize("regularisation", [1e-3, 0.7])
def test_one_hot_features_give_the_tabular_fixed_point(regularisation):
    """(N(s, a) + lambda) Q(s, a) = sum of rewards + gamma sum N(s, a, s') max Q(s', .)."""
    learner = linear(gamma=0.8, regularisation=regularisation, features=OneHot())
    steps = []
    for t, step in enumerate(walk(0, 60)):
        learn(learner, *step)
        steps.append(step)
        if t % 7 == 3:
            N, total, visits = empirical(steps)
            Q = np.zeros((N_STATES, A))
            for _ in range(300):
                Q = (total + 0.8 * N @ Q.max(axis=1)) / (visits + regularisation)
            np.testing.assert_allclose(look(learner), Q, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(
        [learner.counts([[s]])[0] for s in range(N_STATES)], visits, rtol=1e-12
    )


def test_it_solves_the_bellman_equation_of_the_empirical_model():
    learner = linear(gamma=0.8, regularisation=1e-9, features=OneHot())
    steps = list(walk(1, 90))
    for step in steps:
        learn(learner, *step)
    N, total, visits = empirical(steps)
    assert visits.min() > 0
    P = np.zeros((N_STATES + 1, A, N_STATES + 1))  # the last state is the end
    P[:-1, :, :-1] = N / visits[:, :, None]
    P[:-1, :, -1] = 1 - P[:-1].sum(axis=2)
    R = np.vstack([total / visits, np.zeros(A)])
    terminal = np.arange(N_STATES + 1) == N_STATES
    solved = vamdp.value_iteration(
        P, R, gamma=0.8, max_sweeps=300, tolerance=0.0, terminal=terminal
    )
    np.testing.assert_allclose(look(learner), solved.Q[:-1], rtol=1e-6, atol=1e-7)


def test_what_was_never_tried_is_worth_nothing():
    learner = linear(features=OneHot())
    learn(learner, 0, 1, 5.0, 0)
    assert look(learner)[1:].tolist() == [[0.0] * A] * 3
    assert look(learner)[0, [0, 2]].tolist() == [0.0, 0.0]


def test_a_mask_is_kept_with_the_transition_that_it_was_told_with():
    learner = linear(2, gamma=0.5, regularisation=1.0, features=OneHot())
    learn(learner, 1, 0, 4.0, 0, end=True)  # Q(1, 0) = 2
    learn(learner, 1, 1, 8.0, 0, end=True)  # Q(1, 1) = 4
    learn(learner, 0, 0, 0.0, 1, mask=[True, False])
    learn(learner, 0, 1, 0.0, 1, mask=[False, False])  # tells nothing
    assert learner.q_values([[0.0]])[0] == pytest.approx([0.5, 1.0], rel=1e-12)


# Two roads


class Twin:
    """Online LSPI of one task: normal equations anew from all transitions, in every round."""

    def __init__(self, phi, gamma, regularisation, n_improvements, improve_every):
        self.phi, self.gamma, self.regularisation = phi, gamma, regularisation
        self.n_improvements, self.every = n_improvements, improve_every
        self.steps, self.greedy, self.w = [], [], 0.0

    def update(self, s, a, r, s_next, end):
        phi, next_phi = self.phi(s), self.phi(s_next)
        if not self.steps:
            self.w = np.zeros((A, phi.size))
        self.steps.append((phi, a, r, next_phi, end))
        self.greedy.append(int((self.w @ next_phi).argmax()))
        if len(self.steps) % self.every:
            return
        for _ in range(self.n_improvements):
            rows, differences, rewards = [], [], []
            for (phi, a, r, next_phi, end), b in zip(self.steps, self.greedy, strict=True):
                row = np.zeros(self.w.shape)
                row[a] = phi
                rows.append(row.ravel())
                then = np.zeros(self.w.shape)
                then[b] = 0.0 if end else next_phi
                differences.append((row - self.gamma * then).ravel())
                rewards.append(r)
            rows = np.array(rows)
            M = rows.T @ np.array(differences) + self.regularisation * np.eye(rows.shape[1])
            self.w = np.linalg.solve(M, rows.T @ np.array(rewards)).reshape(self.w.shape)
            greedy = [int((self.w @ next_phi).argmax()) for _, _, _, next_phi, _ in self.steps]
            if greedy == self.greedy:
                return
            self.greedy = greedy

    def look(self, s):
        """Q, kept within what rewards allow, and counts by squared cosines."""
        rewards = [0.0, *(r for _, _, r, _, _ in self.steps)]
        bounds = np.array([min(rewards), max(rewards)]) / (1 - self.gamma)
        phi, counts = self.phi(s), np.zeros(A)
        for other, a, _, _, _ in self.steps:
            counts[a] += (phi @ other) ** 2 / (phi @ phi) / (other @ other)
        Q = self.w @ phi
        moved = np.clip(Q.max(), *bounds) - Q.max()
        return np.maximum(Q + moved, bounds[0]), counts


def waves(k, width, scales, seed):
    """Random Fourier features as published."""
    rng = np.random.default_rng(seed)
    omega = rng.normal(size=(k, len(scales))) / width
    b = rng.uniform(0, 2 * np.pi, size=k)
    return lambda s: np.sqrt(2 / k) * np.cos(omega @ (s / np.array(scales)) + b)


@pytest.mark.parametrize(
    ("options", "phi"),
    [
        ({}, lambda s: np.append(s, 1.0)),
        ({"scales": (2.0, 0.5), "n_improvements": 1}, lambda s: np.append(s / [2.0, 0.5], 1.0)),
        ({"features": 7, "n_improvements": 3}, waves(7, 1.0, (1, 1), 0)),
        (
            {"features": 5, "width": 0.5, "scales": (1.0, 3.0), "features_seed": 4,
             "improve_every": 3, "n_improvements": 2},
            waves(5, 0.5, (1.0, 3.0), 4),
        ),
    ],
    ids=str,
)  # fmt: skip
def test_the_incremental_fit_is_the_one_of_all_transitions_together(options, phi):
    learner = LinearLearner(1, A, gamma=0.9, regularisation=0.5, **options)
    twin = Twin(phi, 0.9, 0.5, options.get("n_improvements", 1), options.get("improve_every", 1))
    rng = np.random.default_rng(5)
    for step in walk(7, 50, d=2):
        learn(learner, *step)
        twin.update(*step)
        for s in (step[3], rng.normal(size=2)):
            Q, counts = twin.look(s)
            np.testing.assert_allclose(learner.q_values([s])[0], Q, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(learner.counts([s])[0], counts, rtol=1e-9)


def test_values_shown_stay_within_what_the_rewards_allow():
    """One feature that grows from 1 to 3: unbounded, w = 6 / (1 + 1 - 0.5 * 3) = 12."""
    learner = linear(1, gamma=0.5, regularisation=1.0, features=lambda s: s)
    learn(learner, 1, 0, 6.0, 3)
    assert learner.q_values([[0.75]]) == 9.0
    assert learner.q_values([[2.0]]) == 12.0 == 6 / (1 - 0.5)
    assert learner.q_values([[-2.0]]) == 0.0


def test_actions_keep_their_order_where_values_are_beyond_what_the_rewards_allow():
    """Far from the data a plane promises more than the task can pay, for each action another."""
    learner = LinearLearner(1, 2, gamma=0.5, regularisation=0.01)
    for x in (0.0, 1.0, 2.0):
        for action, slope in ((0, 1.0), (1, 0.5)):
            learner.update([[x]], [action], [slope * x], [[0.0]], [True])
    Q = learner.q_values([[50.0]])[0]
    assert Q.max() == pytest.approx(2.0 / 0.5)  # the best reward, for ever
    assert Q[0] - Q[1] == pytest.approx(Q.max())  # 25 apart, and none below 0
    near = learner.q_values([[9.0]])[0]
    assert near[0] - near[1] == pytest.approx(4.0, abs=0.6)  # as far apart as they are


def test_numpy_scales_are_taken():
    learners = [LinearLearner(1, 2, scales=s) for s in ((2.0, 4.0), np.array([2.0, 4.0]))]
    for learner in learners:
        learner.update([[1.0, 2.0]], [0], [1.0], [[2.0, 2.0]], [False])
    assert learners[0].q_values([[1, 2]]).tolist() == learners[1].q_values([[1, 2]]).tolist()


@pytest.mark.parametrize("features", [None, 8])
def test_a_state_of_another_length_than_one_looked_up_is_refused(features):
    learner = LinearLearner(1, 2, features=features)
    learner.q_values([[1.0]])
    with pytest.raises(ValueError, match="must have 1 numbers per state as before, got 3"):
        learner.update([[1.0, 2.0, 3.0]], [0], [1.0], [[2.0, 2.0, 3.0]], [False])


def test_an_irregular_system_leaves_the_weights_as_they_were():
    learner = linear(1, gamma=0.5, regularisation=1.0, features=lambda s: s)
    learn(learner, 1, 0, 6.0, 4)  # 1 + 1 - 0.5 * 4 = 0
    assert learner.q_values([[1.0]]) == 0.0
    learn(learner, 1, 0, 2.0, 0)  # 3 - 2
    assert learner.q_values([[1.0]]) == 8.0


# Features


def test_random_fourier_features_stand_for_the_gaussian_kernel():
    k = 20_000
    learner = linear(1, n_tasks=2, features=k, width=0.7, scales=(1.0, 2.0))
    one, other = learner._features(np.array([[0.0, 0.0], [0.5, -1.0]]))
    distance = np.hypot(0.5, 1.0 / 2)
    assert one @ other == pytest.approx(np.exp(-(distance**2) / 2 / 0.7**2), abs=4 / np.sqrt(k))
    assert one @ one == pytest.approx(1.0, abs=4 / np.sqrt(k))


def test_the_same_seed_gives_the_same_features():
    def Q(seed):
        learner = linear(features=6, features_seed=seed)
        for step in walk(2, 20, d=2):
            learn(learner, *step)
        return learner.q_values([[0.1, 0.2]]).tolist()

    assert Q(1) == Q(1) != Q(2)


def test_features_of_ones_own_are_asked_for_once_a_step():
    own = OneHot()
    learner = linear(n_tasks=2, features=own)
    out = np.zeros((2, 2 * A + 1), np.float32)
    learner.write([[0.0], [1.0]], Scales(), out)
    for s, s_next in ([[0.0], [1.0]], [[2.0], [1.0]]), ([[2.0], [1.0]], [[3.0], [0.0]]):
        learner.update(s, [0, 1], [1.0, 2.0], s_next, [False, False])
        learner.write(s_next, Scales(), out)
    assert own.seen == [[0.0, 1.0], [2.0, 1.0], [3.0, 0.0]]


def test_sparse_features_are_taken_as_they_are():
    class Sparse:
        def __init__(self, array):
            self.array = array

        def toarray(self):
            return self.array

    sparse = linear(features=lambda s: Sparse(np.eye(N_STATES)[s[:, 0].astype(int)]))
    plain = linear(features=OneHot())
    for step in walk(3, 20):
        learn(sparse, *step)
        learn(plain, *step)
    np.testing.assert_array_equal(look(sparse), look(plain))
    assert look(plain).any()


# Bad input


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (lambda s: 1 / 0, "got ZeroDivisionError: division by zero"),
        (lambda s: s + 1j, r"must return numbers of shape \(1, k\)"),
    ],
)
def test_features_that_fail_are_named_and_nothing_is_learned(features, message):
    learner = linear(features=features)
    with pytest.raises(ValueError, match=f"`features` .*{message}"):
        learn(learner, 0.0, 0, 1.0, 1.0)
    assert learner._fit is None


def test_the_class_of_a_transformer_is_named():
    with pytest.raises(TypeError, match=r"`features` must be .* fitted object, not its class"):
        linear(features=OneHot)


@pytest.mark.parametrize("option", [{"width": 2.0}, {"features_seed": 3}])
def test_options_of_fourier_features_without_them_are_refused(option):
    (name,) = option
    linear(features=4, **option)
    for features in (None, np.ones_like):
        with pytest.raises(ValueError, match=f"`{name}` must be left out without random Fourier"):
            linear(features=features, **option)


def test_true_is_no_number_of_features():
    with pytest.raises(TypeError, match=r"`features` must be None, an integer, .*, got True"):
        linear(features=True)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda s: np.ones((1, 3)), r"must return numbers of shape \(1, 2\) for states of shape"),
        (lambda s: np.ones(2), r"must return numbers of shape \(1, 2\) .* got shape \(2,\)"),
        (lambda s: np.ones((2, 2)), r"must return numbers of shape \(1, 2\) .* got shape \(2, 2\)"),
        (lambda s: [["a", "b"]], r"must return numbers of shape \(1, 2\)"),
        (lambda s: None, r"must return numbers of shape \(1, 2\)"),
        (
            lambda s: [[1.0, np.nan]],
            r"must return finite numbers, got nan in entry 1 for state \[7",
        ),
    ],
)
def test_features_that_do_not_fit_are_named_and_nothing_is_learned(answer, message):
    def make():
        own = {"answer": lambda s: np.hstack([s, s + 1])}
        learner = linear(features=lambda s: own["answer"](s))
        learn(learner, 0.5, 0, 1.0, 2.0)
        return learner, own

    (learner, own), (same, _) = make(), make()
    good, own["answer"] = own["answer"], answer
    with pytest.raises(ValueError, match="`features` " + message):
        learn(learner, 2.0, 0, 9.0, 7.0)
    own["answer"] = good
    for each in (learner, same):
        learn(each, 2.0, 1, 2.0, 1.5)
    assert learner.q_values([[0.7]]).tolist() == same.q_values([[0.7]]).tolist()


def test_features_without_numbers_are_named_at_once():
    with pytest.raises(ValueError, match=r"`features` must return numbers of shape \(1, k\)"):
        linear(features=lambda s: s[:, :0]).q_values([[1.0]])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gamma": 1.0}, ValueError, r"`gamma` must be in \[0, 1\), got 1.0: without discounting"),
        ({"gamma": float("nan")}, ValueError, r"`gamma` must be in \[0, 1\), got nan"),
        ({"regularisation": 0.0}, ValueError, "`regularisation` must be finite and above 0"),
        ({"width": -1.0}, ValueError, "`width` must be finite and above 0, got -1.0"),
        ({"scales": (1.0, -2.0)}, ValueError, r"`scales\[1\]` must be finite and above 0, got -2"),
        ({"features": 0}, ValueError, "`features` must be an integer of at least 1, got 0"),
        ({"features": "rbf"}, TypeError, "`features` must be None, an integer, a trans.*'rbf'"),
        ({"features": 1.5}, TypeError, "`features` must be None, an integer, a trans.*1.5"),
        (
            {"features": abs, "scales": (1.0,)},
            ValueError,
            "`scales` must be None with custom `features`",
        ),
        ({"features_seed": -1}, ValueError, "`features_seed` must be an integer of at least 0"),
        ({"n_improvements": 0}, ValueError, "`n_improvements` must be an integer of at least 1"),
        ({"improve_every": 0}, ValueError, "`improve_every` must be an integer of at least 1"),
    ],
)
def test_options_out_of_range_are_named(options, error, message):
    with pytest.raises(error, match=message):
        linear(**options)


def test_the_table_names_it():
    assert type(BUILT_INS["linear"].make(2, 3, 7, {"features": 4})) is LinearLearner
