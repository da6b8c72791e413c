"""The source posts item by item, and what was found wrong with models and data: what holds it now.

Rows of `B` are the posts' own claims and code, in their order; those of `C` the faults that a
review found, by its numbers. What is not offered, with its reason, stands in `OTHERWISE`.
"""

import pytest

from tests.rows import lacking

B = {
    # ---- post 000: Swin from scratch
    "000.1 its network": [
        "models/test_post000.py::test_the_recipe_is_the_posts_network",
        "models/test_post000.py::test_it_learns_as_the_posts_does",
    ],
    "000.2 its mask, at odd windows too": [
        "models/test_post000.py::test_its_mask_is_the_posts_at_odd_windows_too",
        "models/test_window.py::test_the_mask_of_post_000_makes_windows_of_two_blind",
    ],
    "000.3 its shift where one window covers the grid": [
        "models/test_swin.py::test_the_swin_of_post_000_never_looks_across_a_window"
    ],
    "000.4 its settings, each remaining difference named": [
        "study/test_posts.py::test_a_recipe_of_a_post_has_the_posts_settings_and_defaults_for_the_rest",
        "study/test_posts.py::test_every_other_difference_is_named_in_the_recipe",
    ],
    "000.5 1,267,930 parameters": [
        "study/test_plan.py::test_every_shipped_recipe_keeps_its_claim"
    ],
    "000.6 62.71 %, and the gap to its training images": [
        "experiments/post000_cifar10.toml::accuracy = 62.71",
        "training/test_evaluation.py::test_training_metrics_by_hand",
        "cli/test_claims.py::test_an_accuracy_is_judged_by_recorded_trials",
    ],
    "000.7 worse than its ViT": ["studies/time_to_train.toml::62.71 %, worse than its ViT"],
    "000.8 for want of a position bias, and of larger windows": [
        'studies/post000_autopsy.toml::"model.window" = [4]',
        'studies/post000_autopsy.toml::"model.position_bias" = ["table"]',
    ],
    "000.9 seven hours against one": [
        "studies/time_to_train.toml::7 hours against 1 hour on a CPU",
        "packs/post000.toml::a ViT of as many parameters takes longer",
        "report/test_further.py::test_what_a_change_costs_is_judged_in_its_unit",
    ],
    "000.10 its next step, CIFAR-100": ["studies/cifar100.toml::Post 000's next step: CIFAR-100"],
    "000.11 gates of an LSTM": ["models/test_classics.py::test_cells_equal_those_of_torch"],
    "000.12 ELMo: both ways, and a learned sum of all layers": [
        "models/test_classics.py::test_reading_both_ways_equals_torchs",
        "models/test_mixtures.py::test_the_sum_of_layers_is_elmos",
    ],
    # ---- post 001: networks, attention, optimizers
    "001.1 several heads against one": ['studies/attention_claims.toml::"model.heads" = [1]'],
    "001.2 positions: none, fixed, learned": [
        "models/test_parts.py::test_sincos_of_the_paper",
        'studies/position_codes.toml::"model.position" = ["none", "sincos1d"',
    ],
    "001.3 truncated attention costs less": [
        "models/test_banded.py::test_macs_fall_with_the_band",
        "models/test_banded.py::test_a_vit_answers_and_learns_as_with_a_mask",
        'studies/attention_claims.toml::"model.band" = [1, 2]',
    ],
    "001.4 attention without the square of the length": [
        "models/test_parts.py::test_linear_attention_equals_its_quadratic_form"
    ],
    "001.5 convolutions against attention by data": [
        "studies/data_size.toml::ResNet-20, gap at 1 percent less gap at all",
        "study/test_contrasts.py::test_a_difference_of_differences_is_declared_and_recorded",
    ],
    "001.6 attention along edges of a graph": [
        "models/test_swin.py::test_a_band_limits_what_a_token_sees"
    ],
    "001.7 recurrent networks against attention": [
        "models/test_classics.py::test_a_state_sees_the_past_only",
        'studies/attention_claims.toml::name = "LSTM"',
    ],
    "001.8 slots of sentences, word hashing": [],
    "001.9 its convolutional network, and its settings": [
        "models/test_cnn.py::test_post_001_as_written",
        "study/test_posts.py::test_a_recipe_of_a_post_has_the_posts_settings_and_defaults_for_the_rest",
        "studies/post001_cnn.toml::Post 001's convolutional network",
    ],
    "001.10 SGD, momentum, RMSProp, Adagrad, Adam, decay, warm-up": [
        "training/test_optim.py::test_optimizer_is_the_one_asked_for",
        "studies/optimizers.toml::Post 001's optimizers",
        "studies/warmup.toml::Does a Swin need warm-up",
    ],
    # ---- post 002: the Transformer's encoder
    "002.1 its encoder as written and repaired; a causal mask": [
        "models/test_vit.py::test_the_encoder_of_post_002_has_one_layer_of_weights",
        "models/test_vit.py::test_post_norm_equals_the_encoder_of_torch",
        "models/test_mixtures.py::test_no_patch_is_reached_by_one_that_comes_later",
    ],
    "002.2 batch norm against layer norm": [
        "models/test_swin.py::test_batch_norm_normalises_over_images_and_places",
        "studies/bn_vs_ln.toml::Where does batch norm hurt a Swin",
    ],
    "002.3 the scale of products; additive attention": [
        "models/test_vit.py::test_attention_scales",
        "models/test_mixtures.py::test_additive_attention_of_vit",
    ],
    "002.4 its position code": [
        "models/test_parts.py::test_the_position_code_of_post_002_is_no_longer_a_rotation"
    ],
    # ---- post 003: convolutional networks and training
    "003.1 VGG, whose head is most of it; LeNet": [
        "models/test_cnn.py::test_most_of_a_vgg_is_its_head",
        "models/test_classics.py::test_lenet_has_its_published_size",
    ],
    "003.2 NiN": ["models/test_classics.py::test_nin_has_the_size_of_d2l"],
    "003.3 GoogLeNet, sums against concatenation": [
        "models/test_classics.py::test_inception_concatenates_the_channels_of_table_1",
        "models/test_classics.py::test_a_sum_of_paths_is_as_wide",
    ],
    "003.4 batch norm: rates, dropout, batches": [
        "studies/bn_rate.toml::Does batch norm allow higher rates",
        "study/test_axes.py::test_batch_norm_of_one_image_is_refused",
    ],
    "003.5 shortcuts against none": [
        "models/test_resnet.py::test_only_shortcuts_carry_the_input_past_dead_branches",
        'studies/cnn_classics.toml::"model.residual" = [false]',
    ],
    "003.6 DenseNet": [
        "models/test_densenet.py::test_parameter_counts",
        "studies/dense_connections.toml::Do connections to all layers pay",
    ],
    "003.7 batches of ten images a class, rates that grow with them": [
        "training/test_optim.py::test_the_rate_follows_the_batch_as_it_is_asked_to",
        "studies/batch_rate.toml::no batch above ten images a class",
    ],
    "003.8 augmentation: flips both ways, crops, rotation, blur, colours, mixtures": [
        "data/test_turning.py::test_a_share_of_the_images_is_upside_down",
        "data/test_turning.py::test_rotations_are_torchvisions",
        "data/test_turning.py::test_blurs_are_torchvisions",
        "data/test_augment.py::test_every_operation_at_every_magnitude_is_torchvisions",
    ],
    "003.9 fine-tuning: freezing, the head's rate, images of another size": [
        "models/test_transfer.py::test_frozen_stages_train_nothing",
        "models/test_transfer.py::test_head_has_its_own_rate",
        "data/test_turning.py::test_a_set_of_another_size_has_a_place_of_its_own_and_the_same_classes",
        "studies/fine_tuning.toml::Do weights from other images help",
    ],
    "003.10 averages over turned test images, or over networks": [],
    "003.11 detection, segmentation, sentences": [],
    "003.12 gradients are clipped": [
        "training/test_fit.py::test_parts_keep_the_batchs_gradient_to_rounding"
    ],
    "003.13 costs by kind of network": [
        "models/test_response.py::test_of_every_level_of_every_switch_the_functions_say_what_the_operators_do"
    ],
    "003.14 sines turn with the distance; kernel attention": [
        "models/test_parts.py::test_sincos_depends_on_the_distance_alone",
        "models/test_small_parts.py::test_uniform_attention_of_vit_is_the_mean_of_what_is_seen",
    ],
    "003.15 one training on several devices": [
        "execution/test_ranks.py::test_two_processes_repeat_their_bits_and_differ_from_one_by_rounding"
    ],
    # ---- post 004: Swin
    "004.1 patches, merging, windows, their bias; padding": [
        "models/test_parity.py::test_equal_under_the_same_weights",
        "models/test_padding.py::test_an_odd_grid_is_merged_as_torchvision_merges_it",
        "models/test_padding.py::test_an_image_is_padded_below_and_right_to_whole_patches",
    ],
    "004.2 costs of attention with and without windows": [
        "models/test_response.py::test_window_attention_costs_what_post_004_says"
    ],
    "004.3 Swin-T, S, B, L": ["models/test_swin_parity.py::test_published_sizes_of_swin"],
    "004.4 the position bias: 1.2 to 2.3 points are two tasks": [
        "studies/swin_table4.toml::+1.2 on ImageNet-1K and +2.3 on ADE20K",
        "packs/swin.toml::no position bias is worse",
    ],
    "004.5 how offsets index the bias": [
        "models/test_window.py::test_relative_index_names_the_offset_from_key_to_query"
    ],
    "004.6 a GPU is 20 to 50 times as fast": [
        "benchmarks/test_suite.py::test_every_benchmark_has_a_place"
    ],
}  # fmt: skip
C = {
    "C1 any two arms are compared; a family is an axis": [
        "study/test_contrasts.py::test_an_arm_is_compared_with_another_instead",
        "study/test_family_axis.py::test_a_family_is_a_level_named_by_its_file",
    ],
    "C2 pixels of any range are scaled by that range": [
        "data/test_range.py::test_digits_fill_the_range_that_a_normalisation_promises",
        "data/test_range.py::test_changes_of_bytes_see_digits_as_bytes_and_give_back_their_range",
    ],
    "C3 a crop leaves small images whole": [
        "data/test_range.py::test_a_crop_shifts_by_an_eighth_of_the_shorter_side_and_at_most_4",
        "data/test_range.py::test_an_eighth_of_digits_keeps_their_ink",
    ],
    "C4 decay is decoupled in every optimizer": [
        "training/test_optim.py::test_decay_is_decoupled_and_l2_is_not_in_every_optimizer",
        "training/test_optim.py::test_the_network_of_a_position_bias_does_not_decay",
    ],
    "C5 prepbn fades over a share of training": [
        "training/test_fading.py::test_what_is_left_depends_on_the_share_of_training_alone",
        "training/test_fading.py::test_in_the_end_only_the_batch_norm_is_left",
    ],
    "C6 the post's mask at odd windows": [
        "models/test_post000.py::test_its_mask_is_the_posts_at_odd_windows_too"
    ],
    "C7 no norm after a norm": [
        "models/test_swin.py::test_after_a_block_that_ends_with_a_norm_comes_no_other",
        "models/test_vit.py::test_post_norm_equals_the_encoder_of_torch",
    ],
    "C8 the class token's missing position is told": [
        "docs/models.md::- **A class token** has no position of its own"
    ],
    "C9 a band saves what it cuts": ["models/test_banded.py::test_macs_fall_with_the_band"],
    "C10 every axis is listed; a level that does not fit refuses its arm": [
        "study/test_axes.py::test_every_field_that_works_as_an_axis_is_listed",
        "study/test_unfit.py::test_a_level_that_does_not_fit_refuses_its_arm_alone",
    ],
    "C11 weights to start from need no arm": [
        "models/test_transfer.py::test_weights_of_every_recorded_seed_are_kept_and_none_written_over"
    ],
    "C12 windows and patches of the Fashion-MNIST Swin": [
        "study/test_plan.py::test_patches_and_windows_of_the_fashion_swin_can_be_compared"
    ],
}  # fmt: skip
OTHERWISE = {
    "000.6": "CIFAR-10 is downloaded: the claim is checked where it is, `swinablate verify` says so",
    "001.2": "images keep their size in testing, so that no place is new there",
    "001.6": "a band of neighbours is the one graph that images bring",
    "001.8": "no sentences: data are images",
    "002.2": "networks are tested with running statistics alone, as they are used",
    "003.3": "not the third and fourth versions: their ideas are asked of ResNets",
    "003.8": "no mosaic, which is made for detection",
    "003.10": "a trial is one network on images as they are; more would be another metric",
    "003.11": "classification alone",
    "003.13": "tables and figures have the cost of the study's networks at the study's images",
    "004.6": "speeds of both are measured by `just bench` and named with their machines",
    "C11": "a study compares; `run STUDY --only baseline` trains what weights are taken from",
}
"""What is not offered or not done, with the reason."""
ROWS = B | C


def test_no_row_is_missing():
    """Each post has as many as it had, in order."""
    counts = {"000": 12, "001": 10, "002": 4, "003": 15, "004": 6}
    wanted = [f"{post}.{n}" for post, count in counts.items() for n in range(1, count + 1)]
    assert [row.split()[0] for row in B] == wanted
    assert [row.split()[0] for row in C] == [f"C{n}" for n in range(1, 13)]
    assert OTHERWISE.keys() <= {row.split()[0] for row in ROWS}


@pytest.mark.parametrize("row", ROWS)
def test_what_the_posts_say_and_what_was_wrong_is_held(row):
    assert ROWS[row] or row.split()[0] in OTHERWISE
    assert lacking(ROWS[row]) == []
