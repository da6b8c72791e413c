"""What people report of tools like this one, tried here: what it does now, and the test.

The numbers are those of the list that was tried: `ROWS` its log, `SIBLINGS` what was tried around
every kind of failure, `INPUTS` the inputs that failed, by their rows. What is decided otherwise, with its reason, stands
in `OTHERWISE`.
"""

import pytest

from tests.rows import lacking

ROWS = {
    # ---- tables of results from elsewhere
    "1 arms called None, NA, null, nan": [
        "report/test_hostile.py::test_an_arm_may_have_a_name_that_pandas_takes_for_nothing",
        "report/test_foreign.py::test_arms_may_be_called_anything",
    ],
    "2 fractions are read as told, and asked about where nobody said so": [
        "report/test_foreign.py::test_the_same_results_give_the_same_answer_in_every_shape",
        "report/test_foreign.py::test_what_cannot_be_meant_is_refused_with_what_was_found",
    ],
    "3 semicolons, tabs, decimal commas are read": [
        "report/test_foreign.py::test_the_same_results_give_the_same_answer_in_every_shape"
    ],
    "4 a byte order mark is skipped": [
        "report/test_foreign.py::test_the_same_results_give_the_same_answer_in_every_shape"
    ],
    "5 UTF-16 is read, Latin-1 refused by name": [
        "report/test_foreign.py::test_the_same_results_give_the_same_answer_in_every_shape",
        "report/test_foreign.py::test_what_cannot_be_meant_is_refused_with_what_was_found",
    ],
    "6 blanks and capitals in headers are read": [
        "report/test_foreign.py::test_the_same_results_give_the_same_answer_in_every_shape"
    ],
    "7 states of W&B, MLflow, Optuna are understood": [
        "report/test_foreign.py::test_states_are_read_in_any_programs_words"
    ],
    "8 groups of unequal size; fewer than three seeds are not tested": [
        "stats/test_contrasts.py::test_unequal_numbers_of_seeds_are_weighted_as_they_are",
        "stats/test_verdict.py::test_below_three_seeds_nothing_is_tested",
    ],
    "9 lost runs, and they alone, are called lost": [
        "report/test_analyze.py::test_only_lost_runs_are_called_lost"
    ],
    "10 seeds of 2**53 and more are refused": [
        "report/test_analyze.py::test_wrong_tables_are_refused"
    ],
    "11 so are seeds that are not whole": ["report/test_analyze.py::test_wrong_tables_are_refused"],
    "12 empty last lines are passed over": [
        "report/test_foreign.py::test_the_same_results_give_the_same_answer_in_every_shape"
    ],
    "13 no cell of a table is a formula": [
        "report/test_hostile.py::test_no_table_of_a_report_runs_anything"
    ],
    "14 names with signs of LaTeX or HTML stay text": [
        "report/test_report.py::test_latex_escapes_what_it_must",
        "report/test_report.py::test_hostile_names_stay_text_everywhere",
    ],
    "15 thirty arms fit": [
        "integration/test_report_browser.py::test_thirty_arms_fit_on_a_telephone",
        "report/test_many.py::test_a_figure_of_very_many_arms_is_no_longer_than_one_of_many",
    ],
    "16 the recorded command gives the same verdicts": [
        "report/test_analyze.py::test_the_command_of_a_report_gives_it_again_with_every_option"
    ],
    "17 nothing is called declared that was typed afterwards": [
        "report/test_analyze.py::test_no_report_claims_that_anything_was_declared"
    ],
    "18 a terminal without the letters gets the numbers": [
        "report/test_hostile.py::test_a_terminal_that_cannot_show_a_name_gets_its_numbers"
    ],
    # ---- pictures and arrays
    "19 .ipynb_checkpoints is no class and holds no pictures": [
        "data/test_pictures.py::test_what_systems_leave_behind_is_neither_a_class_nor_a_picture"
    ],
    "20 nor are ._x.png and __MACOSX": [
        "data/test_pictures.py::test_what_systems_leave_behind_is_neither_a_class_nor_a_picture"
    ],
    "21 pictures stand upright": [
        "data/test_pictures.py::test_a_picture_is_turned_as_the_camera_was_held"
    ],
    "22 what is transparent is white": [
        "data/test_pictures.py::test_what_is_transparent_becomes_white"
    ],
    "23 16-bit grey is scaled by its range": [
        "data/test_pictures.py::test_grey_of_16_bits_is_scaled_by_its_range"
    ],
    "24 files that are no pictures are named, all at once": [
        "data/test_pictures.py::test_all_unusable_files_are_named_at_once"
    ],
    "25 val beside train and test is the validation set": [
        "data/test_pictures.py::test_a_folder_of_validation_pictures_chooses"
    ],
    "26 so is valid; Train is train; classes without train are refused": [
        "data/test_pictures.py::test_a_folder_of_validation_pictures_chooses",
        "data/test_datasets.py::test_a_wrong_folder_is_refused_with_the_file_that_is_wrong",
    ],
    "27 one class is refused with what to do": [
        "data/test_pictures.py::test_one_class_is_refused_with_what_to_do"
    ],
    "28 classes stand in the order of names": [
        "data/test_datasets.py::test_a_folder_of_pictures_becomes_one_file_in_the_order_of_names"
    ],
    "29 unequal classes are said, and judged by metrics of their own": [
        "data/test_facts.py::test_unequal_classes_are_said_where_accuracy_decides",
        "training/test_evaluation.py::test_two_classes_by_hand",
    ],
    "30 arrays of another kind are refused": [
        "data/test_datasets.py::test_a_function_that_gives_something_else_is_refused"
    ],
    "31 test images that were trained on, missing classes, constant images are named": [
        "data/test_facts.py::test_test_images_that_were_trained_on_are_counted_and_named",
        "data/test_facts.py::test_a_class_that_nobody_trains_is_named",
        "data/test_facts.py::test_images_of_a_single_value_are_counted",
    ],
    # ---- networks and training
    "32 odd grids before merging, and images that patches do not tile, are padded": [
        "models/test_padding.py::test_an_odd_grid_is_merged_as_torchvision_merges_it",
        "models/test_padding.py::test_an_image_is_padded_below_and_right_to_whole_patches",
    ],
    "33 windows have unequal sides": [
        "models/test_padding.py::test_windows_with_unequal_sides_are_torchvisions"
    ],
    "34 the network of log_cpb does not decay": [
        "training/test_optim.py::test_the_network_of_a_position_bias_does_not_decay"
    ],
    "35 batch norm of one image is refused in the plan, a last batch of one is left out": [
        "study/test_axes.py::test_batch_norm_of_one_image_is_refused",
        "training/test_fit.py::test_last_partial_batch_is_dropped_and_steps_end_a_run",
    ],
    "36 bias tables are interpolated between windows": [
        "models/test_pretrained.py::test_bias_tables_are_interpolated_to_other_windows_as_by_timm",
        "models/test_pretrained.py::test_windows_of_unequal_sides_are_interpolated_where_the_file_tells_them",
    ],
    "37 weights of others load, whatever wraps them": [
        "models/test_pretrained.py::test_weights_of_others_give_their_logits",
        "models/test_pretrained.py::test_weights_are_found_in_what_training_scripts_save",
        "models/test_pretrained.py::test_safetensors_files_are_read",
    ],
    "38 weights that are no numbers are refused in the plan": [
        "models/test_pretrained.py::test_weights_that_are_no_numbers_are_refused_before_anything_trains"
    ],
    "39 rates are those of torch": ["training/test_optim.py::test_rates_are_those_of_torch"],
    "40 masks and short formats; fp16 on a CPU is refused": [
        "conformance/test_families.py::test_every_kind_runs_in_half_precision",
        "execution/test_devices.py::test_fp16_is_refused_on_a_cpu_before_anything_starts",
    ],
    "41 levels that act as one number are one arm": [
        "study/test_axes.py::test_levels_that_round_to_one_number_are_one_arm"
    ],
    "42 nothing is a level: none": ["study/test_axes.py::test_nothing_is_a_level_too"],
    # ---- running
    "43 equal accuracies lock no home": [
        "report/test_answer.py::test_where_no_seed_differs_the_smallest_effect_is_unknown_and_everything_goes_on"
    ],
    "44 two files of one name are told apart": [
        "cli/test_which.py::test_another_file_of_the_same_name_is_refused_with_what_differs"
    ],
    "45 a home whose path no database address can name is refused": [
        "records/test_home.py::test_where_no_address_can_name_a_database_the_home_is_refused",
        "cli/test_store_options.py::test_a_study_in_such_a_home_is_refused_before_anything_is_made",
    ],
    "46 no database is made in another folder": [
        "records/test_home.py::test_where_no_address_can_name_a_database_the_home_is_refused",
        "records/test_home.py::test_the_address_of_a_database_in_a_home_names_it",
    ],
    "47 seeds of 2**53 and more are refused in the plan": [
        "study/test_limits.py::test_a_study_too_large_is_refused_at_once",
        "study/test_limits.py::test_the_largest_seeds_are_planned",
    ],
    "48 a tracking server that is away costs nothing": [
        "tracking/test_mirror.py::test_after_three_failures_in_a_row_what_follows_waits_and_arrives_later"
    ],
    "49 an address that can be no store ends the command first": [
        "cli/test_store_options.py::test_what_can_be_no_store_ends_the_command_before_it_starts"
    ],
    "50 what MLflow's variables say of other runs is ignored": [
        "tracking/test_tracker.py::test_variables_of_another_run_are_not_obeyed"
    ],
    "51 a deleted experiment comes back": [
        "tracking/test_tracker.py::test_a_deleted_experiment_comes_back"
    ],
    "52 a study of somebody else's in the same store is left alone": [
        "scheduling/test_queue.py::test_studies_in_one_store_do_not_see_each_other"
    ],
    "53 a closed terminal stops with checkpoints; on a cluster, SIGUSR1 too": [
        "integration/faults/test_ending.py::test_f3_a_terminal_that_is_closed_stops_the_study_with_its_checkpoints",
        "execution/test_slurm.py::test_who_leaves_ends_with_stopped_and_another_comes_later",
    ],
    "53b no proxy is asked for this machine": [
        "tracking/test_server.py::test_no_proxy_is_asked_for_this_machine"
    ],
    "54 GPUs by their UUID": [
        "execution/test_processes.py::test_workers_take_the_gpus_that_their_user_was_given"
    ],
    "55 no HOME, no folder for temporary files, few open files": [
        "integration/test_command.py::test_a_bare_environment_is_enough"
    ],
    "56 a byte order mark in TOML is skipped, UTF-16 named": [
        "config/test_written.py::test_a_byte_order_mark_is_skipped",
        "config/test_written.py::test_utf_16_is_named",
    ],
    "57 axes need no quotes": ["study/test_axes.py::test_an_axis_may_be_written_without_quotes"],
    "58 numbers and lists of a shell are read, or the hint is what to type": [
        "config/test_written.py::test_a_number_needs_no_digit_on_both_sides_of_its_point",
        "config/test_complaints.py::test_a_wrong_study_is_told_so",
    ],
    "59 names that are no file names are refused": [
        "cli/test_bad_input.py::test_study_names_are_file_names_and_nothing_else",
        "cli/test_bad_input.py::test_wrong_file_is_refused_before_anything_starts",
    ],
    "60 nan, inf, duplicates, equal levels are refused": [
        "cli/test_bad_input.py::test_wrong_file_is_refused_before_anything_starts"
    ],
    "61 data that change under one name are never mixed in": [
        "integration/test_pictures.py::test_pictures_are_trained_on_and_changed_ones_never_mixed_in"
    ],
}  # fmt: skip
"""The words are what it does now."""
SIBLINGS = {
    "1 equal seeds: plan, the study again, with more seeds, another one, with looks, a factorial": [
        "report/test_answer.py::test_where_no_seed_differs_the_smallest_effect_is_unknown_and_everything_goes_on",
    ],
    "2 names that pandas takes for nothing, of arms and of the baseline": [
        "report/test_hostile.py::test_an_arm_may_have_a_name_that_pandas_takes_for_nothing"
    ],
    "3 fractions, 105 %, and how the metric is called": [
        "report/test_foreign.py::test_what_cannot_be_meant_is_refused_with_what_was_found",
        "report/test_foreign.py::test_better_means_good_and_the_sign_is_the_datas",
    ],
    "4 signs in the path of a home": [
        "records/test_home.py::test_where_no_address_can_name_a_database_the_home_is_refused",
        "records/test_home.py::test_the_address_of_a_database_in_a_home_names_it",
    ],
    "5 seeds from 2**53 on, and those that follow the largest": [
        "study/test_limits.py::test_a_study_too_large_is_refused_at_once",
        "study/test_limits.py::test_the_largest_seeds_are_planned",
    ],
    "6 batch, warm-up, step_at and limit that round to what is there": [
        "study/test_axes.py::test_levels_that_round_to_one_number_are_one_arm"
    ],
    "7 hidden files and folders; all eight orientations; four kinds of transparency": [
        "data/test_pictures.py::test_what_systems_leave_behind_is_neither_a_class_nor_a_picture",
        "data/test_pictures.py::test_a_picture_is_turned_as_the_camera_was_held",
        "data/test_pictures.py::test_what_is_transparent_becomes_white",
    ],
    "8 terminals without the letters": [
        "report/test_hostile.py::test_a_terminal_that_cannot_show_a_name_gets_its_numbers"
    ],
    "9 eight layouts and wrappings of weights": [
        "models/test_pretrained.py::test_weights_of_others_give_their_logits",
        "models/test_pretrained.py::test_weights_are_found_in_what_training_scripts_save",
        "models/test_pretrained.py::test_safetensors_files_are_read",
    ],
    "10 a proxy, in small and in capital letters": [
        "tracking/test_server.py::test_no_proxy_is_asked_for_this_machine"
    ],
    "11 addresses of MLflow that nobody can track to": [
        "cli/test_store_options.py::test_what_can_be_no_store_ends_the_command_before_it_starts"
    ],
}  # fmt: skip
"""What was tried around every kind of failure."""
INPUTS = {
    "1": ["43"], "2": ["44"], "3": ["45", "46"], "4": ["1"], "5": ["2"], "6": ["19"], "7": ["21"],
    "8": ["34"], "9": ["41"], "10": ["47"], "11": ["18"], "12": ["57"], "13": ["42"], "14": ["25"],
    "15": ["9", "16", "17"], "16": ["49"], "17": ["53b"], "18": ["35"],
    "19": ["3", "5", "7", "37", "56", "20", "22", "27", "10", "13"],
}  # fmt: skip
"""The failing inputs, by the rows of `ROWS` that they are."""
OTHERWISE = {
    "53": "outside a cluster SIGUSR1 ends the run, as Unix has it; SIGTERM stops with checkpoints",
    "59": "names of studies and arms are ASCII: they are folders, files and runs of a database",
}
"""What was wished for and is not so, with the reason."""


def test_no_row_is_missing():
    numbers = [row.split()[0] for row in ROWS]
    assert numbers == [*map(str, range(1, 54)), "53b", *map(str, range(54, 62))]
    assert OTHERWISE.keys() <= set(numbers)


def test_every_input_that_failed_is_one_of_the_rows():
    assert [*INPUTS] == [str(number) for number in range(1, 20)]
    numbers = {row.split()[0] for row in ROWS}
    assert {row for rows in INPUTS.values() for row in rows} <= numbers
    assert [row.split()[0] for row in SIBLINGS] == [str(number) for number in range(1, 12)]


@pytest.mark.parametrize("row", SIBLINGS)
def test_what_was_tried_around_a_failure_is_held_too(row):
    assert SIBLINGS[row]
    assert lacking(SIBLINGS[row]) == []


@pytest.mark.parametrize("row", ROWS)
def test_what_is_reported_elsewhere_is_held_here(row):
    assert ROWS[row]
    assert lacking(ROWS[row]) == []
