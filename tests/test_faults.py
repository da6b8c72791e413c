"""Every fault that was thought of has a test; here it says which (F and S as in the fault list).

F15 is decided otherwise than first thought: garbled events of an unfinished trial are passed over
and counted by `swinablate doctor`, for nothing is judged by them. F19 is a worker's case: workers
load their data themselves. F7 keeps the number of workers: what the system killed is named, and
tried twice more. S1 is a TOML file, which has no tags or aliases.
"""

import pytest

from tests.rows import lacking

ROWS = {
    "F1 a worker is killed": [
        "integration/test_crashes.py::test_killed_worker_costs_an_attempt_and_no_number",
        "integration/faults/test_ending.py::test_f1_what_a_killed_worker_started_dies_with_it",
    ],
    "F2 the coordinator is killed": [
        "integration/test_crashes.py::test_killed_coordinator_takes_its_workers_along_and_loses_nothing",
        "integration/faults/test_ending.py::test_f2_who_holds_pythons_lock_in_a_call_dies_with_a_killed_coordinator",
        "integration/faults/test_ending.py::test_f2_what_a_worker_started_dies_with_a_killed_coordinator",
        "integration/faults/test_ending.py::test_f2_the_process_that_forks_dies_with_a_killed_coordinator_while_it_imports",
    ],
    "F3 SIGTERM and SIGHUP": [
        "integration/test_crashes.py::test_asked_to_stop_it_writes_checkpoints_and_goes_on_later",
        "integration/faults/test_ending.py::test_f3_a_worker_that_never_returns_does_not_hold_up_a_stop",
        "integration/faults/test_ending.py::test_f3_a_signal_while_a_command_imports_ends_it_with_75",
        "integration/faults/test_ending.py::test_f3_a_signal_to_all_processes_of_the_job_costs_no_checkpoint",
        "integration/faults/test_ending.py::test_f3_a_terminal_that_is_closed_stops_the_study_with_its_checkpoints",
    ],
    "F4 Ctrl-C": [
        "integration/test_crashes.py::test_asked_to_stop_it_writes_checkpoints_and_goes_on_later"
    ],
    "F5 Ctrl-C twice; a tracking server that hangs": [
        "integration/test_crashes.py::test_second_interrupt_kills_at_once",
        "integration/faults/test_ending.py::test_f5_a_tracking_server_that_never_answers_delays_the_end_for_seconds",
    ],
    "F6 out of memory": [
        "integration/faults/test_failures.py::test_f6_f7_f8_each_failure_is_named_and_costs_no_other_trial",
        "execution/test_worker.py::test_too_little_memory_of_a_cpu_is_named_with_what_took_it",
    ],
    "F7 killed by the system": [
        "integration/faults/test_failures.py::test_f6_f7_f8_each_failure_is_named_and_costs_no_other_trial",
        "execution/test_coordinator.py::test_after_three_losses_it_is_a_failure_of_the_trial",
    ],
    "F8 a loss that is no number": [
        "integration/faults/test_failures.py::test_f6_f7_f8_each_failure_is_named_and_costs_no_other_trial",
        "training/test_fit.py::test_infinite_loss_ends_the_run",
    ],
    "F9 a full disk": [
        "execution/test_coordinator.py::test_a_disk_that_fills_in_a_worker_stops_the_study_and_loses_nothing",
        "records/test_locks.py::test_a_full_disk_is_one_line_with_a_remedy",
    ],
    "F10 a damaged checkpoint": [
        "integration/test_crashes.py::test_damaged_checkpoint_costs_an_epoch_and_no_number",
        "training/test_checkpoint.py::test_damaged_one_is_passed_over_with_a_warning",
        "training/test_checkpoint.py::test_nothing_whole_is_a_fresh_start",
    ],
    "F11 half-written files of a killed process": [
        "records/test_survey.py::test_what_a_kill_left_and_who_works_here_is_said",
        "integration/faults/test_chaos.py::test_f23_two_studies_killed_at_random_lose_nothing_and_leave_nothing",
    ],
    "F12 Optuna's store is locked": [
        "integration/faults/test_failures.py::test_f12_f13_a_store_that_is_locked_for_seconds_costs_nothing",
        "scheduling/test_queue.py::test_a_database_locked_for_ever_is_named",
    ],
    "F13 MLflow's store is locked, deleted, damaged": [
        "integration/faults/test_failures.py::test_f12_f13_a_store_that_is_locked_for_seconds_costs_nothing",
        "integration/faults/test_failures.py::test_f13_f22_stores_that_are_lost_in_the_middle_come_back_by_sync",
        "integration/faults/test_ending.py::test_f13_with_such_a_server_a_study_ends_well",
    ],
    "F14 a second coordinator": [
        "integration/test_crashes.py::test_second_coordinator_is_refused_and_changes_nothing"
    ],
    "F15 garbled events": [
        "records/test_damage.py::test_garbled_events_of_an_unfinished_trial_are_passed_over",
        "records/test_survey.py::test_garbled_events_of_a_waiting_trial_are_counted",
    ],
    "F16 a worker hangs": [
        "integration/faults/test_ending.py::test_f16_a_worker_that_hangs_leaves_its_stack_and_is_tried_again",
        "execution/test_coordinator.py::test_who_hangs_is_killed_after_the_time_that_was_set",
    ],
    "F17 the wall clock is set": [
        "execution/test_coordinator.py::test_a_wall_clock_that_is_set_changes_no_duration"
    ],
    "F18 a data set cannot be had": [
        "integration/test_data_download.py::test_two_processes_download_once",
        "integration/test_data_download.py::test_a_bad_download_is_refused_and_a_good_one_mends_it",
        "integration/test_data_download.py::test_no_network_is_said_with_address_folder_and_files",
    ],
    "F19 what loads the data is killed": [
        "integration/test_crashes.py::test_killed_worker_costs_an_attempt_and_no_number"
    ],
    "F20 the study is edited": [
        "integration/faults/test_failures.py::test_f20_only_what_an_edited_study_adds_is_trained"
    ],
    "F21 MLflow shows as running what was killed": [
        "integration/faults/test_failures.py::test_f21_what_a_killed_coordinator_left_running_is_closed"
    ],
    "F22 both stores are deleted": [
        "integration/faults/test_failures.py::test_f13_f22_stores_that_are_lost_in_the_middle_come_back_by_sync",
        "execution/test_sync.py::test_stores_that_were_lost_hold_every_record_again",
    ],
    "F23 everything is killed at random": [
        "integration/faults/test_chaos.py::test_f23_two_studies_killed_at_random_lose_nothing_and_leave_nothing"
    ],
    "S1 a hostile study file": ["cli/test_bad_input.py::test_wrong_file_is_refused_before_anything_starts"],
    "S2 hostile names": ["cli/test_bad_input.py::test_study_names_are_file_names_and_nothing_else"],
    "S3 hostile values on a page": ["integration/test_report_browser.py::test_page_is_quiet_and_fits"],
    "S4 a hostile checkpoint": [
        "training/test_checkpoint.py::test_pickled_code_is_never_run_and_the_older_checkpoint_serves"
    ],
    "S5 a foreign page asks MLflow's": [
        "integration/test_ui.py::test_a_foreign_host_is_refused",
        "integration/test_ui.py::test_a_foreign_page_may_not_write",
        "integration/test_ui.py::test_no_other_interface_listens",
    ],
    "S6 secrets": ["integration/test_secrets.py::test_a_study_with_secrets_leaves_them_nowhere"],
}  # fmt: skip


def test_no_row_is_missing():
    rows = [row.split()[0] for row in ROWS]
    assert rows == [*(f"F{n}" for n in range(1, 24)), *(f"S{n}" for n in range(1, 7))]


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_every_fault_are_there(row):
    assert lacking(ROWS[row]) == []
