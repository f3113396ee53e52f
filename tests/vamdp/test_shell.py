"""Commands that are printed work where they are pasted."""

import os
import shlex
import tomllib
from pathlib import Path

import pytest

import vamdp
from vamdp import shell

TOP = Path(vamdp.__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="quotes as other shells take them")


@pytest.mark.parametrize("word", ["plain", "two words", "it's", 'a"b', "$HOME", "", "-x", "a\\b"])
def test_a_quoted_word_is_one_word_again(word):
    assert shlex.split(shell.quoted(Path(word) if word else word)) == [word]


@pytest.mark.skipif(not (TOP / "pyproject.toml").is_file(), reason="of an installed copy")
def test_an_extra_is_installed_from_the_checkout_wherever_one_is(monkeypatch, tmp_path):
    for folder in (TOP, tmp_path):
        monkeypatch.chdir(folder)
        pip, install, _, constraints, _, target = shlex.split(shell.install_command("render"))
        assert (pip, install) == ("pip", "install")
        assert Path(constraints).resolve() == TOP / "constraints.txt"
        assert Path(constraints).is_file()
        place, _, extra = target.rstrip("]").partition("[")
        assert Path(place).resolve() == TOP
        extras = tomllib.loads((Path(place) / "pyproject.toml").read_text())["project"]
        assert extra in extras["optional-dependencies"]


def test_an_installed_copy_says_where_to_call_it(monkeypatch, tmp_path):
    monkeypatch.setattr(shell, "__file__", str(tmp_path / "site-packages" / "vamdp" / "shell.py"))
    command = "pip install -c constraints.txt '.[sb3]' in a checkout of the code"
    assert shell.install_command("sb3") == command
