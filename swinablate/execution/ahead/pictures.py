"""A user's own pictures, looked at before a plan is made of them."""

from swinablate import data
from swinablate.config.recipe import CommandRecipe
from swinablate.errors import SwinablateError
from swinablate.records.home import Home
from swinablate.records.plan import everything
from swinablate.study.arms.mixed import whole
from swinablate.study.files import Study


def check_pictures(study: Study, home: Home) -> None:
    """Read the folders of pictures of a study that has something to train.

    Of its recipes, not of the levels of its axes: those are read when the plan has found them
    possible. A study whose trials are all recorded needs no pictures any more.

    Raises:
        InputError: a folder is wrong, or pictures in it cannot be read; all of them are named.
        EnvironmentFault: they cannot be kept in the home.
    """
    if study.smoke or not lacks_trials(home, study.name):
        return
    others = [
        one.recipe
        for one in study.variants
        if one.recipe and ("data" in one.take or whole(study.baseline, one.recipe))
    ]
    # The pictures of a command are its script's business.
    ours = [one for one in (study.baseline, *others) if not isinstance(one, CommandRecipe)]
    data.prepare_own([one.data for one in ours], home.datasets)


def lacks_trials(home: Home, name: str) -> bool:
    """Whether a study has anything to train, as far as its last declaration tells.

    Only for what may be in vain: the study file may have changed since.
    """
    if not (home.studies / name / "latest").exists():
        return True
    try:
        trials = everything(home.declared(name))
    except SwinablateError:  # damaged: it is declared anew
        return True
    return not all((home.trials / trial / "result.json").exists() for trial in trials)
