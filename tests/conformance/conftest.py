"""Which promises of executors are asked of real clusters in every run, and which in `just full`."""

from collections.abc import Iterable

import pytest

REAL = ("slurm", "ray")
"""Executors that need another program, and run with those tests."""
OFTEN = {
    "test_a_job_ends_once_after_its_events_in_order",
    "test_an_error_ends_its_job_by_name_and_no_other[{name}-raises]",
    "test_a_batch_whose_process_ends_is_lost_and_says_how[{name}-killed-signal SIGKILL]",
    "test_a_batch_cancelled_while_it_hangs_is_lost",
    "test_a_later_attempt_goes_on_where_a_stop_came",
    "test_closing_ends_all_that_runs_and_lets_go_of_every_file",
}
"""One for each way in which a batch ends; every other costs a worker on a cluster, five seconds."""


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark the others of a cluster as slow."""
    for item in items:
        name, _, parameters = item.name.partition("[")
        cluster = next((one for one in REAL if parameters.startswith(one)), "")
        if "test_executors.py" in item.nodeid and cluster:
            often = {one.format(name=cluster) for one in OFTEN}
            if not {name, item.name} & often:
                item.add_marker(pytest.mark.slow)
