"""What new users met when they tried the product, row by row: what it does now, and the test.

The numbers are those of the list that was tried. What is decided otherwise, with its reason, stands
in `OTHERWISE`.
"""

import tomllib

import pytest

from tests.rows import ROOT, lacking

ROWS = {
    "1 every command that is printed can be given; one trial is reproduced": [
        "test_printed.py::test_every_command_that_is_printed_can_be_given",
        "integration/test_verbs.py::test_a_trial_is_reproduced_bit_by_bit_and_its_folder_is_not_touched",
    ],
    "2 timm's ResNets: channels of stages are none of images": [
        "models/test_zoo.py::test_a_resnets_widths_are_its_names_and_no_channels_of_images",
    ],
    "3 a variant has a name and a report of its own": [
        "cli/test_which.py::test_a_variant_has_a_name_of_its_own_and_leaves_the_study_alone",
        "cli/test_which.py::test_another_file_of_the_same_name_is_refused_with_what_differs",
    ],
    "4 curves of one and two epochs": [
        "report/test_paper.py::test_curves_begin_with_the_first_epoch_and_have_a_key",
        "report/test_paper.py::test_panels_of_curves_show_the_first_epoch_too",
        "report/test_figures.py::test_a_last_third_that_is_no_curve_is_not_enlarged",
    ],
    "5 times of trials that were in each other's way are withheld": [
        "report/test_contention.py::test_seeds_that_differ_in_time_name_their_arm",
        "report/test_contention.py::test_what_does_not_compare_is_withheld_in_tables_page_and_markdown",
        "report/test_equal_cost.py::test_nothing_is_said_of_equal_seconds_where_times_do_not_compare",
    ],
    "6 equal cost is the smaller budget of the two": [
        "report/test_equal_cost.py::test_an_arm_and_the_baseline_are_read_where_the_cheaper_ends",
        "report/test_equal_cost.py::test_a_cheap_arm_changes_no_other_arms_difference",
    ],
    "7 a click on an experiment, a page of our own": [
        "integration/test_landing.py::test_links_open_what_there_is_whatever_became_of_a_study",
    ],
    "8 the ablation table while a study runs, or was interrupted": [
        "tracking/test_tracker.py::test_an_arm_has_a_row_from_its_first_finished_trial_without_an_effect",
        "integration/test_landing.py::test_links_open_what_there_is_whatever_became_of_a_study",
    ],
    "9 a study whose trials are all reused": [
        "tracking/test_mirror.py::test_a_study_whose_trials_others_trained_has_them_too",
        "integration/test_command.py::test_a_study_with_nothing_to_train_is_shown_without_a_report_too",
    ],
    "10 an arm all of whose seeds diverged fails to train, in red; what would repeat is not offered": [
        "report/test_report.py::test_an_arm_that_fails_to_train_is_told_wherever_verdicts_are",
        "tracking/test_interim.py::test_only_a_result_is_green",
        "cli/test_farewell.py::test_what_would_end_the_same_way_is_not_offered_again",
    ],
    "11 families side by side, a number against accuracy, contrasts of any arms": [
        "report/test_paper.py::test_families_have_their_costs_and_their_own_ablations_below",
        "report/test_paper.py::test_a_line_joins_arms_that_differ_in_one_number_alone",
        "study/test_contrasts.py::test_an_arm_is_compared_with_another_instead",
    ],
    "12 marks of the cost figure are where their numbers are, and named": [
        "report/test_paper.py::test_marks_of_cost_are_where_their_numbers_are",
        "report/test_paper.py::test_every_mark_of_cost_has_a_name_or_a_number_with_a_name",
    ],
    "13 the LaTeX table fits its column": [
        "integration/test_latex.py::test_table_compiles_and_fits_its_column",
        "report/test_report.py::test_latex_has_the_columns_that_were_asked_for_and_the_best_is_bold",
    ],
    "14 figures for a paper: PDF, widths, names": [
        "report/test_paper.py::test_files_are_as_wide_as_asked_for_and_without_type_3",
        "report/test_paper.py::test_no_name_is_cut_off_at_the_edge_where_letters_are_as_on_paper",
        "cli/test_figure.py::test_one_figure_is_one_file_in_this_folder_or_another",
        "report/test_paper.py::test_labels_are_drawn_and_the_tables_keep_the_names",
    ],
    "15 own pictures: layouts, a share for testing, all unusable files at once and first, what is found": [
        "data/test_pictures.py::test_a_share_of_each_class_is_the_test_set_whatever_the_seeds",
        "data/test_found.py::test_unusable_files_are_named_before_a_plan_is_proved",
        "data/test_found.py::test_classes_channels_and_size_are_found",
        "docs/data.md::`CLASS/*` alone",
    ],
    "16 hours and memory of a study, before it runs": [
        "integration/test_cost.py::test_a_probe_is_near_what_the_study_takes_and_is_kept",
    ],
    "17 the demo leaves the shipped report alone": [
        "cli/test_store_options.py::test_the_quick_start_leaves_the_shipped_report_alone_and_says_what_is_next",
    ],
    "18 the demo says what is next; hints begin as the command was typed, in the caller's folder": [
        "cli/test_store_options.py::test_the_quick_start_leaves_the_shipped_report_alone_and_says_what_is_next",
        "test_printed.py::test_what_is_shown_begins_as_it_was_typed",
        "test_printed.py::test_no_message_names_the_program_otherwise_than_it_was_typed",
        "test_project.py::test_dev_hands_over_in_the_folder_of_the_caller",
    ],
    "19 an edited file, a file of the same name elsewhere, no such file": [
        "cli/test_which.py::test_another_file_of_the_same_name_is_refused_with_what_differs",
        "cli/test_which.py::test_a_file_that_does_not_exist_is_refused_and_a_name_is_answered",
    ],
    "20 a recipe of which the model is taken needs no data": [
        "study/test_contrasts.py::test_a_recipe_of_which_only_the_model_is_taken_needs_no_data",
    ],
    "21 tables of fractions, with semicolons, with a blank": [
        "report/test_foreign.py::test_the_same_results_give_the_same_answer_in_every_shape",
        "report/test_foreign.py::test_what_cannot_be_meant_is_refused_with_what_was_found",
    ],
    "22 grey images for a network that wants three channels, and a hint that says so": [
        "data/test_found.py::test_a_network_that_wants_three_is_told_how_to_get_them",
        "data/test_found.py::test_digits_in_three_channels_keep_their_range_and_their_classes",
    ],
    "23 a match that changes nothing says so": [
        "cli/test_terminal.py::test_a_matched_arm_shows_what_was_solved_and_how_well_it_fits",
    ],
    "24 the page: dark, sorted, linked, each word once, provenance that repeats nothing": [
        "integration/test_report_browser.py::test_words_can_be_read_on_their_ground",
        "integration/test_report_browser.py::test_a_table_is_sorted_by_the_column_that_is_pressed",
        "report/test_report.py::test_a_finding_says_its_word_once",
        "report/test_report.py::test_what_trials_and_report_share_stands_once",
    ],
    "25 the page on a telephone": [
        "report/test_report.py::test_arms_are_stacked_on_one_axis_for_a_telephone",
        "integration/test_report_browser.py::test_zero_and_verdicts_of_the_effects_are_on_a_telephones_screen",
    ],
    "26 the page on paper": [
        "integration/test_report_browser.py::test_prints_on_paper",
    ],
    "27 MLflow: numbers of summaries, charts, colours, notes": [
        "tracking/test_tracker.py::test_summaries_hold_the_verdicts",
        "report/test_foreign.py::test_a_chart_has_curves",
        "tracking/test_interim.py::test_families_differ_in_hue_and_arms_of_one_in_lightness",
        "tracking/test_interim.py::test_only_what_markdown_would_read_is_escaped",
    ],
    "28 one meaning of what stands after a value": [
        "report/test_many.py::test_the_last_mean_of_a_curve_stands_with_the_spread_over_seeds",
        "tracking/test_tracker.py::test_the_table_shows_the_mean_and_the_sd_that_the_summaries_have",
    ],
    "29 figures of unfinished and smoke studies say so": [
        "report/test_paper.py::test_figures_of_unfinished_and_smoke_studies_say_so",
    ],
    "30 no extra that nothing uses; Slurm is an executor": [
        "test_ux_rows.py::test_no_extra_is_offered_that_nothing_uses",
        "execution/test_slurm.py::test_who_leaves_ends_with_stopped_and_another_comes_later",
    ],
    "32 help is whole; --version": [
        "cli/test_help.py::test_help_is_whole_and_has_an_example",
        "test_printed.py::test_options_that_are_named_alone_exist",
    ],
}  # fmt: skip
"""Tasks that were tried, by the number of their row."""
WISHES = {
    "overrides, one arm": [
        "cli/test_which.py::test_a_variant_has_a_name_of_its_own_and_leaves_the_study_alone",
        "cli/test_claims.py::test_what_is_lacking_is_trained_once",
    ],
    "list, show, logs, rm": [
        "cli/test_home_commands.py::test_list_tells_how_far_studies_are",
        "cli/test_home_commands.py::test_list_judges_what_is_done_once",
        "cli/test_home_commands.py::test_show_a_trial_by_the_first_digits_of_its_id",
        "cli/test_home_commands.py::test_logs_show_events_and_what_workers_printed_of_this_trial",
        "integration/test_verbs.py::test_a_study_goes_with_its_rows_and_its_own_trials",
    ],
    "compare": [
        "integration/test_compare.py::test_studies_stand_side_by_side_each_with_its_own_verdicts",
        "integration/test_compare.py::test_what_would_differ_in_silence_is_refused",
    ],
    "export, import": [
        "report/evidence/test_bring.py::test_a_home_gets_all_and_judges_the_same",
    ],
    "notebooks: frames, tables, figures": [
        "integration/test_notebook.py::test_a_study_is_planned_run_and_read",
        "cli/test_figure.py::test_a_study_in_python_draws_what_its_home_holds",
    ],
    "Slurm, Ray": [
        "execution/test_slurm.py::test_who_leaves_ends_with_stopped_and_another_comes_later",
        "execution/test_ray.py::test_workers_fit_by_processors_and_by_whole_parts_of_gpus",
    ],
    "tables that are read in a narrow terminal": [
        "cli/test_columns.py::test_no_word_is_torn_and_no_line_is_longer_than_the_terminal",
        "cli/test_columns.py::test_verdicts_are_read_at_every_width",
    ],
    "a live page": [
        "tracking/test_landing.py::test_nobody_waits_while_a_finished_study_is_judged",
    ],
}  # fmt: skip
"""What users expect of such tools, and there was none of."""
FIGURES = {
    "forest": [
        "report/test_figures.py::test_forest_has_every_number_of_the_verdicts_and_every_seed",
    ],
    "seeds": [
        "report/test_figures.py::test_seeds_shows_every_trial_and_marks_the_lost",
    ],
    "effects": [
        "report/test_many.py::test_of_very_many_effects_each_family_has_its_ends_and_the_axis_says_so",
    ],
    "waterfall": [
        "report/test_figures.py::test_a_path_is_drawn_from_mean_to_mean",
    ],
    "interactions": [
        "report/test_paper.py::test_lines_of_interactions_are_means_of_cells",
    ],
    "sequence": [
        "report/test_figures.py::test_the_looks_are_drawn_with_the_boundary_they_had_to_cross",
    ],
    "curves": [
        "report/test_paper.py::test_curves_begin_with_the_first_epoch_and_have_a_key",
    ],
    "cost": [
        "report/test_paper.py::test_marks_of_cost_are_where_their_numbers_are",
    ],
    "tuning": [
        "report/test_figures.py::test_of_several_tunings_each_has_a_course_and_their_mean_too",
    ],
    "missing: families, levels, components, classes": [
        "report/test_paper.py::test_families_have_their_costs_and_their_own_ablations_below",
        "report/test_paper.py::test_a_line_joins_arms_that_differ_in_one_number_alone",
        "report/test_paper.py::test_a_key_of_levels_leaves_the_axes_their_room",
        "report/test_paper.py::test_components_are_checked_as_arms_have_them",
        "report/test_classes.py::test_a_class_is_framed_where_its_seeds_do_not_explain_its_change",
    ],
}  # fmt: skip
"""What was found wanting in each figure."""
OTHERWISE = {
    "16": "without `--probe` and without records nothing is known of a machine, and nothing is said",
    "24": "the page is static but for its tables: no text appears under a pointer, as on paper",
    "27": "a list of MLflow's own opens as a list; charts are what links of ours open",
    "31": "on a terminal uv lists the packages as it installs them, then compiles without a word; "
    "`setting up .venv (once; minutes ...)` stands above, and a pipe gets that line alone",
    "wishes": "no notifications, no import from W&B but of its tables, no dashboard of Optuna's: "
    "its store is an address that `optuna-dashboard` opens",
}
"""Row -> what of it is not offered, or why it is otherwise."""
HELD = ROWS | WISHES | FIGURES


def test_every_row_is_answered():
    rows = [int(row.split()[0]) for row in ROWS]
    assert sorted({*rows, *(int(row) for row in OTHERWISE if row.isdigit())}) == [*range(1, 33)]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("row", HELD)
def test_what_was_met_is_held(row):
    assert HELD[row]
    assert lacking(HELD[row]) == []


def test_no_extra_is_offered_that_nothing_uses():
    """An extra `slurm` once installed submitit, which nobody imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "slurm" not in project.get("optional-dependencies", {})
