import re
from pathlib import Path

import pytest

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.sweeps.specification import parse_sweep, read_sweep

EXAMPLE = Path(__file__).parents[3] / "examples" / "sweep.toml"

BASE = {
    "algorithms": '["rl2"]',
    "seeds": "[0]",
    "domains": '["bandit"]',
}


def text(**changes):
    """Return a sweep file; None takes an entry out."""
    entries = {**BASE, **changes}
    return "\n".join(f"{key} = {value}" for key, value in entries.items() if value is not None)


def parse(source):
    return parse_sweep(source.encode(), "a.toml")


def test_cells_are_all_combinations_with_the_usual_settings_where_none_are_given():
    cells = parse(
        text(
            algorithms='["rl2", "rl3"]',
            seeds="[0, 7]",
            horizons="[50, 100]",
            domains='["bandit", "random-mdp"]',
            settings="{iterations = 9}",
        )
    )
    assert len(cells) == 16
    assert [cell.name for cell in cells[:3]] == [
        "bandit-h50-rl2-s0",
        "bandit-h50-rl3-s0",
        "bandit-h100-rl2-s0",
    ]
    assert [cell.config.seed for cell in cells] == 8 * [0] + 8 * [7]
    last = cells[-1]
    assert last.name == "random-mdp-h100-rl3-s7"
    config = last.config
    assert (config.domain, config.horizon, config.algo, config.seed) == (
        "random-mdp",
        100,
        "rl3",
        7,
    )
    assert (config.iterations, config.n_envs) == (9, 163)  # 16384 / 100
    assert (last.n_tasks, last.variations) == (1000, ("canonical",))


def test_an_entry_of_domains_has_lists_settings_and_evaluation_of_its_own():
    gridworld = (
        '{name = "gridworld", size = 13, algorithms = ["rl3-coarse"], horizons = [30], seeds = [4],'
        'settings = {variation = "dense", n_envs = 3}, evaluation = {variations = ["watery"]}}'
    )
    bandit, grid = parse(
        text(
            domains=f'["bandit", {gridworld}]',
            settings="{n_envs = 5, iterations = 2}",
            evaluation="{tasks = 9}",
        )
    )
    assert (bandit.name, bandit.config.n_envs) == ("bandit-h100-rl2-s0", 5)
    assert grid.name == "gridworld13-dense-h30-rl3-coarse-s4"
    assert (grid.config.n_envs, grid.config.iterations) == (3, 2)
    assert (grid.n_tasks, grid.variations) == (9, ("watery",))
    assert bandit.variations == ("canonical",)


VARIANTS = """
[variants.paper]
recipe = "paper"
[variants.one-epoch]
n_epochs = 1
"""


def test_variants_are_compared_in_all_cells_and_replace_other_settings():
    cells = parse(text(algorithms='["rl2", "rl3"]', settings="{n_epochs = 3}") + VARIANTS)
    assert [(cell.name, cell.variant, cell.config.n_epochs) for cell in cells] == [
        ("bandit-h100-rl2-paper-s0", "paper", 3),
        ("bandit-h100-rl2-one-epoch-s0", "one-epoch", 1),
        ("bandit-h100-rl3-paper-s0", "paper", 3),
        ("bandit-h100-rl3-one-epoch-s0", "one-epoch", 1),
    ]
    assert cells[0].config.recipe == "paper"


@pytest.mark.parametrize(
    ("settings", "varied"),
    [
        (
            "{d_model = 32, estimator.gamma = 0.9}",
            '"policy.d_model" = 16\nestimator.smoothing = 0.2',
        ),
        ("{policy.d_model = 32, estimator.gamma = 0.9}", "d_model = 16\nsmoothing = 0.2"),
    ],
)
@pytest.mark.parametrize("place", ["variant", "entry"])
def test_settings_replace_others_whichever_of_its_names_each_has(settings, varied, place):
    if place == "variant":
        source = text(algorithms='["rl3"]', settings=settings) + f"\n[variants.a]\n{varied}"
    else:
        entry = '{name = "bandit", settings = {' + varied.replace("\n", ", ") + "}}"
        source = text(algorithms='["rl3"]', settings=settings, domains=f"[{entry}]")
    (cell,) = parse(source)
    options = cell.config.estimator_options
    assert cell.config.policy_arguments["d_model"] == 16
    assert (options["gamma"], options["smoothing"]) == (0.9, 0.2)


def test_the_discount_of_ppo_and_that_of_the_estimator_replace_nothing_of_each_other():
    settings = '{gamma = 0.5, "estimator.gamma" = 0.6}'
    first, second = parse(
        text(algorithms='["rl3"]', settings=settings)
        + "\n[variants.a]\ngamma = 0.7\n[variants.b]\nestimator.gamma = 0.7"
    )
    assert (first.config.gamma, first.config.estimator_options["gamma"]) == (0.7, 0.6)
    assert (second.config.gamma, second.config.estimator_options["gamma"]) == (0.5, 0.7)


def test_two_cells_of_one_name_are_refused():
    variants = "\n[variants.x]\n[variants.coarse-x]\n"
    with pytest.raises(InputError, match=r"got gridworld11-h250-rl3-coarse-x-s0 twice"):
        parse(text(algorithms='["rl3", "rl3-coarse"]', domains='["gridworld"]') + variants)


def test_an_entry_of_domains_may_choose_among_the_variants():
    chosen = '{name = "random-mdp", variants = ["one-epoch"]}'
    cells = parse(text(domains=f'["bandit", {chosen}]') + VARIANTS)
    assert [cell.name for cell in cells][2:] == ["random-mdp-h100-rl2-one-epoch-s0"]


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (
            "[variants.a]\nestimator.gama = 1.0",
            "`variants.a.estimator.gama` is not a setting of this run",
        ),
        ("[variants.a]\nn_epochs = 0", "`variants.a.n_epochs` must be an integer of at least 1"),
        ("[variants.a]\nseed = 1", "`variants.a.seed` must be left out, got 1: it belongs"),
        ('[variants."a b"]\nn_epochs = 1', "`variants.a b` must be a table named by letters,"),
        ("[variants]\na = 3", "`variants.a` must be a table named by letters, "),
        ("", "`domains[0].variants` must hold names of variants, got 'b'; there are none."),
        ("[variants.a]", "`domains[0].variants` must hold names of variants, got 'b'; there are a"),
    ],
)
def test_a_variant_that_cannot_be_is_named(variants, message):
    domains = '["bandit"]' if "`variants" in message else '[{name = "bandit", variants = ["b"]}]'
    with pytest.raises(InputError, match=re.escape(message)):
        parse(text(domains=domains) + "\n" + variants)


@pytest.mark.parametrize("chosen", ['[["a"]]', "[{a = 1}]", "[1]"])
def test_what_is_no_name_of_a_variant_is_named(chosen):
    domains = f'[{{name = "bandit", variants = {chosen}}}]'
    with pytest.raises(InputError, match=r"`domains\[0\].variants` must hold names of variants"):
        parse(text(domains=domains) + "\n[variants.a]")


def test_tasks_are_those_trained_on_unless_said_otherwise():
    (cell,) = parse(text(settings='{variation = "ood"}'))
    assert (cell.name, cell.variations) == ("bandit-ood-h100-rl2-s0", ("ood",))


def test_the_example_can_be_read():
    assert len(read_sweep(EXAMPLE)) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": "[0]"}, "`seed` must be left out, got [0]: known are domains, variants,"),
        ({"seeds": None}, "`seeds` must be a list of at least one value, got none."),
        ({"seeds": "[]"}, "`seeds` must be a list of at least one value, got []. Fill it in."),
        ({"seeds": "3"}, "`seeds` must be a list of at least one value, got 3."),
        ({"seeds": "[1, 2, 1]"}, "`seeds` must hold different values, got 1 twice."),
        ({"seeds": "[-1]"}, "`seed` must be an integer of at least 0, got -1."),
        (
            {"settings": "{n_epochs = 0}"},
            "`settings.n_epochs` must be an integer of at least 1, got 0.",
        ),
        ({"settings": "{gamma = 1.5}"}, "`settings.gamma` must be a number in [0, 1], got 1.5."),
        (
            {"settings": "{gae_lambda = 2}"},
            "`settings.gae_lambda` must be a number in [0, 1] or a schedule such",
        ),
        (
            {"settings": "{target_kl = 0.0}"},
            "`settings.target_kl` must be a number above 0 or none, got 0.0.",
        ),
        (
            {"settings": "{clip_range = 0}"},
            "`settings.clip_range` must be a number above 0 or a schedule such",
        ),
        (
            {"settings": "{vf_coef = true}"},
            "`settings.vf_coef` must be a number of at least 0, got True.",
        ),
        (
            {"settings": "{learning_rate = inf}"},
            "`settings.learning_rate` must be a number of at least 0",
        ),
        ({"horizons": "[]"}, "`horizons` must be a list of at least one value, got []."),
        ({"horizons": "[0]"}, "with algorithm 'rl2', seed 0, horizon 0: `horizon` must be an"),
        ({"algorithms": '["rl4"]'}, "`algo` must be one of rl2, rl3, rl3-prior, rl3-coarse"),
        (
            {"algorithms": '["rl3-coarse"]'},
            "`domains[0]` does not go with algorithm 'rl3-coarse'",
        ),
        ({"algorithms": '["rl3-coarse"]'}, "An entry of `domains` may have horizons, algorithms,"),
        (
            {"domains": '["go"]'},
            "`domains[0]` must be one of bandit, random-mdp, gridworld, frozen",
        ),
        ({"domains": "[3]"}, "`domains[0]` must be the name of a domain, or a table with `name`"),
        ({"domains": "[{size = 11}]"}, "or a table with `name`, got {'size': 11}."),
        ({"domains": '[{name = ["bandit"]}]'}, "or a table with `name`, got {'name': ['bandit']}."),
        ({"domains": '["bandit", "bandit"]'}, "`domains` must hold different values, got 'bandit'"),
        (
            {"domains": '["bandit", {name = "bandit", seeds = [1, 0]}]'},
            "`domains[1]` must differ from `domains[0]`, got the cell bandit-h100-rl2-s0 in both.",
        ),
        ({"domains": '[{name = "gridworld", size = 12}]'}, "`size` must be 11 or 13 in gridworlds"),
        (
            {"domains": '[{name = "bandit", tasks = 3}]'},
            "`domains[0].tasks` must be left out, got 3: known are name, size, variants,",
        ),
        (
            {"domains": '[{name = "bandit", seeds = []}]'},
            "`domains[0].seeds` must be a list of at least one value, got [].",
        ),
        (
            {"domains": '[{name = "bandit", settings = {gamma = 2}}]'},
            "`domains[0].settings.gamma` must be a number in [0, 1], got 2.0.",
        ),
        (
            {"settings": "{epochs = 3}"},
            "`settings.epochs` is not a setting of this run: did you mean n_e",
        ),
        ({"settings": "{horizon = 3}"}, "`settings.horizon` must be left out, got 3"),
        ({"settings": "3"}, "`settings` must be a table, got 3."),
        ({"settings": "{adam_eps = -1.0}"}, "`settings.adam_eps` must be finite and above 0"),
        ({"settings": "{smoothing = 0.1}"}, "(With rl2; an entry of `domains` may have settings"),
        (
            {"settings": '{n_envs = "all"}'},
            "`settings.n_envs` must be an integer of at least 1, got 'all'.",
        ),
        ({"evaluation": "{tasks = 0}"}, "`evaluation.tasks` must be an integer of at least 1, got"),
        ({"evaluation": "{ood = true}"}, "`evaluation.ood` must be left out, got True: known are"),
        (
            {"evaluation": '{variations = ["wet"]}'},
            "`variation` must be one of canonical, ood, got",
        ),
        ({"evaluation": "{variations = [1]}"}, "`evaluation.variations` must hold names, got 1."),
    ],
)
def test_what_cannot_be_is_named_with_its_place(changes, message):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        parse(text(**changes))
    assert str(error.value).startswith("a.toml: ")


@pytest.mark.parametrize("content", [b"seeds = [", b"\xff"])
def test_a_file_that_is_no_toml_is_named(content):
    with pytest.raises(InputError, match=r"`a.toml` must be a TOML file, got another: "):
        parse_sweep(content, "a.toml")


def test_dotted_keys_and_the_first_versions_entropy_are_settings():
    settings = "{estimator.gamma = 0.9, ent_coef = 0.1, final_ent_coef = 0.0, target_kl = 'none'}"
    (cell,) = parse(text(algorithms='["rl3"]', settings=settings))
    assert cell.config.estimator_options["gamma"] == 0.9
    assert (str(cell.config.ent_coef), cell.config.target_kl) == ("0.1:0", None)


def test_environments_that_cannot_be_made_are_an_error_before_anything_starts():
    with pytest.raises(InputError, match=r"The environments of gridworld cannot be made: `gamma`"):
        parse(text(domains='["gridworld"]', settings='{signal = "regret", gamma = 1.0}'))
