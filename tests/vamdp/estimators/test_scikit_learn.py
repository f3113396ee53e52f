"""Transformers of scikit-learn as features of the linear learner; the package does not need it."""

import itertools

import numpy as np
import pytest

from vamdp.estimators.linear.linear_learner import LinearLearner

RBFSampler = pytest.importorskip("sklearn.kernel_approximation").RBFSampler
preprocessing = pytest.importorskip("sklearn.preprocessing")
make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline

STATES = np.random.default_rng(0).normal(size=(40, 2))
LOOK = [[0.1, 0.2]]


def walked(features):
    """A learner that walked through the states."""
    learner = LinearLearner(1, 3, n_improvements=5, features=features)
    rng = np.random.default_rng(1)
    for s, s_next in itertools.pairwise(STATES):
        learner.update(s[None], [rng.integers(3)], [rng.normal()], s_next[None], [False])
    return learner


@pytest.mark.parametrize(
    "transformer",
    [
        RBFSampler(n_components=8, random_state=0),
        make_pipeline(preprocessing.StandardScaler(), preprocessing.PolynomialFeatures(2)),
        preprocessing.KBinsDiscretizer(n_bins=4),  # its features are a sparse matrix
    ],
    ids=lambda it: type(it).__name__,
)
def test_a_fitted_transformer_is_taken_as_it_is(transformer):
    fitted = transformer.fit(STATES)

    def plain(states):
        features = fitted.transform(states)
        return features.toarray() if hasattr(features, "toarray") else features

    theirs, mine = walked(fitted), walked(plain)
    np.testing.assert_array_equal(theirs.q_values(LOOK), mine.q_values(LOOK))
    assert theirs.q_values(LOOK).any()


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (RBFSampler(), "NotFittedError: .* A transformer must be fitted first, on states of 2 num"),
        (RBFSampler().fit(np.zeros((1, 3))), "ValueError: .* fitted first, on states of 2 numbers"),
    ],
)
def test_one_that_is_fitted_to_nothing_or_to_other_states_is_named(transformer, message):
    with pytest.raises(ValueError, match=rf"`features` must map states .*, got {message}"):
        walked(transformer)


def test_the_class_of_a_transformer_is_named():
    with pytest.raises(TypeError, match=r"`features` must be .* fitted object, not its class"):
        LinearLearner(1, 3, features=RBFSampler)
