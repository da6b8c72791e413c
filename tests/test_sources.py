"""What the five source posts and the papers behind them ask for: where it is, and the test.

`POSTS` goes through the posts item by item (000 to 004), `MENDED` through what was found wrong,
`STUDIES` through what shipped studies could not answer, `USED` through what people ablate today.
What is not offered, or only in part, stands in `OTHERWISE` with its reason.
"""

import pytest

from tests.rows import lacking

SHIPPED = "study/test_shipped.py::test_every_shipped_study_plans_and_learns"
POSTS = {
    # ---- 000: Swin from scratch, against ViT; RNN, LSTM, ELMo
    "000.1 its Swin": [
        "models/test_post000.py::test_the_recipe_is_the_posts_network",
        "models/test_post000.py::test_it_learns_as_the_posts_does",
    ],
    "000.2 its mask": [
        "models/test_post000.py::test_its_mask_is_the_posts_at_odd_windows_too",
        "models/test_swin.py::test_the_mask_of_post_000_cuts_every_window_at_its_middle",
    ],
    "000.3 its shift on a grid that one window covers": [
        "models/test_swin.py::test_the_swin_of_post_000_never_looks_across_a_window"
    ],
    "000.4 its data and training": [
        "study/test_posts.py::test_a_recipe_of_a_post_has_the_posts_settings_and_defaults_for_the_rest",
        "study/test_posts.py::test_every_other_difference_is_named_in_the_recipe",
    ],
    "000.5 its 1,267,930 parameters": [
        "study/test_plan.py::test_every_shipped_recipe_keeps_its_claim",
        "experiments/post000_cifar10.toml::params = 1_267_930",
    ],
    "000.6 accuracy and loss, of training and of test images": [
        "training/test_evaluation.py::test_a_final_trial_records_them_all_and_a_trial_of_tuning_none",
        "training/test_evaluation.py::test_training_images_are_as_many_as_test_images_and_the_same_for_all_seeds",
    ],
    "000.7 worse than a ViT": [
        SHIPPED,
        "studies/time_to_train.toml::post 000: 62.71 %, worse than its ViT",
    ],
    "000.8 for want of position bias, and for small windows": [
        SHIPPED,
        "studies/post000_autopsy.toml::post 000 blames that it is missing",
        "studies/post000_autopsy.toml::post 000 blames its small windows",
    ],
    "000.9 seven hours against one": [
        SHIPPED,
        "studies/time_to_train.toml::post 000: 7 hours against 1 hour on a CPU",
        "report/test_further.py::test_what_a_change_costs_is_judged_in_its_unit",
    ],
    "000.10 CIFAR-100": [SHIPPED, "studies/cifar100.toml::Post 000's next step"],
    "000.11 LSTM and its gates": ["models/test_classics.py::test_cells_equal_those_of_torch"],
    "000.12 ELMo: both directions, a sum of all layers": [
        "models/test_classics.py::test_reading_both_ways_equals_torchs",
        "models/test_mixtures.py::test_the_sum_of_layers_is_elmos",
    ],
    # ---- 001: attention, convolutions, optimizers
    "001.1 several heads against one": [SHIPPED, 'studies/attention_claims.toml::"model.heads"'],
    "001.2 positions: none, computed, learned": [
        "models/test_vit.py::test_only_the_position_tells_the_order_of_patches",
        "training/test_evaluation.py::test_accuracy_under_translation_is_the_mean_of_four_directions",
    ],
    "001.3 attention in a band costs less": [
        "models/test_banded.py::test_macs_fall_with_the_band",
        "models/test_swin.py::test_a_band_limits_what_a_token_sees",
    ],
    "001.4 attention without the square": [
        "models/test_parts.py::test_linear_attention_equals_its_quadratic_form"
    ],
    "001.5 convolutions against attention, by data": [
        SHIPPED,
        "studies/data_size.toml::ResNet-20, gap at 1 percent less gap at all",
        "study/test_contrasts.py::test_a_difference_of_differences_is_declared_and_recorded",
    ],
    "001.6 recurrent networks against attention": [
        SHIPPED,
        "studies/attention_claims.toml::a recurrent network one after the other",
    ],
    "001.7 its convolutional network": [
        "models/test_parity.py::test_equal_under_the_same_weights",
        "study/test_posts.py::test_a_recipe_of_a_post_has_the_posts_settings_and_defaults_for_the_rest",
        SHIPPED,
        "studies/post001_cnn.toml::whose linear maps without an activation between them are one",
    ],
    "001.8 optimizers": [
        "training/test_optim.py::test_optimizer_is_the_one_asked_for",
        SHIPPED,
        'studies/optimizers.toml::"train.optimizer" = ["sgd", "rmsprop", "adagrad", "muon"]',
    ],
    "001.9 rates too large and too small, momentum": [
        SHIPPED,
        'studies/post001_cnn.toml::"train.lr"',
        'studies/post001_cnn.toml::"train.momentum"',
    ],
    "001.10 decay of the rate and warm-up": [SHIPPED, "studies/warmup.toml::why the rate rises first"],
    # ---- 002: the encoder
    "002.1 the encoder, as written and repaired": [
        "models/test_vit.py::test_the_encoder_of_post_002_has_one_layer_of_weights",
        "models/test_parts.py::test_a_softmax_over_queries_does_not_average",
        SHIPPED,
        "studies/post002_encoder.toml::dim=2 is the queries'",
    ],
    "002.2 a mask of what comes later": [
        "models/test_mixtures.py::test_no_patch_is_reached_by_one_that_comes_later"
    ],
    "002.3 norms after the sums, and none at the end": [
        "models/test_vit.py::test_post_norm_equals_the_encoder_of_torch",
        "models/test_swin.py::test_after_a_block_that_ends_with_a_norm_comes_no_other",
    ],
    "002.4 batch norm against layer norm": [
        SHIPPED,
        "studies/bn_vs_ln.toml::Where does batch norm hurt a Swin",
        "models/test_swin.py::test_padding_does_not_enter_batch_statistics",
    ],
    "002.5 scores divided by the root of the depth": [
        "models/test_vit.py::test_attention_scales"
    ],
    "002.6 additive attention": ["models/test_mixtures.py::test_additive_attention_of_vit"],
    "002.7 its sines and cosines": [
        "models/test_parts.py::test_the_position_code_of_post_002_is_no_longer_a_rotation"
    ],
    # ---- 003: convolutional networks, training, transfer
    "003.1 LeNet; VGG, most of which is its head": [
        "models/test_classics.py::test_lenet_has_its_published_size",
        "models/test_cnn.py::test_most_of_a_vgg_is_its_head",
    ],
    "003.2 NiN": ["models/test_classics.py::test_nin_has_the_size_of_d2l"],
    "003.3 GoogLeNet; sums for concatenations": [
        "models/test_classics.py::test_weights_of_googlenet_follow_from_table_1",
        "models/test_classics.py::test_a_sum_of_paths_is_as_wide",
    ],
    "003.4 batch norm: higher rates, not with dropout": [
        SHIPPED,
        "studies/bn_rate.toml::post 003: batch norm allows higher rates",
        "studies/bn_rate.toml::post 003: no dropout beside batch norm",
    ],
    "003.5 ResNet against its plain twin": [
        "models/test_resnet.py::test_only_shortcuts_carry_the_input_past_dead_branches",
        SHIPPED,
        "studies/cnn_classics.toml::Plain-56",
    ],
    "003.6 DenseNet": [
        "models/test_parity.py::test_equal_under_the_same_weights",
        SHIPPED,
        "studies/dense_connections.toml::layers that see all before them",
    ],
    "003.7 batches of ten images a class, rates that follow them": [
        "training/test_optim.py::test_the_rate_follows_the_batch_as_it_is_asked_to",
        SHIPPED,
        'studies/batch_rate.toml::"train.lr_scale" = "none"',
    ],
    "003.8 augmentation": [
        "data/test_augment.py::test_no_switch_of_data_is_dead",
        "data/test_turning.py::test_a_share_of_the_images_is_upside_down",
        "data/test_turning.py::test_blurs_are_torchvisions",
        "data/test_turning.py::test_rotations_are_torchvisions",
        SHIPPED,
        "studies/augmentation.toml::post 003: augmentation of the training images fights overfitting",
    ],
    "003.9 fine-tuning: freezing, a faster head, other domains": [
        "models/test_transfer.py::test_frozen_stages_train_nothing",
        "models/test_transfer.py::test_head_has_its_own_rate",
        "study/test_shipped.py::test_the_weights_that_fine_tuning_starts_from_are_made_by_the_commands_that_it_names",
        "studies/fine_tuning.toml::post 003: ten times the rate for the new head",
    ],
    "003.10 clipping": [
        "training/test_fit.py::test_half_precision_trains_and_is_no_fp32"
    ],
    "003.11 what attention and convolutions cost, by size": [
        "models/test_response.py::test_window_attention_costs_what_post_004_says",
        "data/test_turning.py::test_a_set_of_another_size_has_a_place_of_its_own_and_the_same_classes",
    ],
    "003.12 sines turn with the distance": [
        "models/test_parts.py::test_sincos_depends_on_the_distance_alone",
        "models/test_rotary.py::test_scores_depend_on_the_offset_alone",
    ],
    "003.13 attention without weights that are learned": [
        "models/test_small_parts.py::test_uniform_attention_of_vit_is_the_mean_of_what_is_seen"
    ],
    # ---- 004: Swin by the paper
    "004.1 patches, merging, windows, MLP": [
        "models/test_parity.py::test_equal_under_the_same_weights",
        "models/test_pretrained.py::test_the_order_of_a_mergings_inputs_is_the_authors",
    ],
    "004.2 padding of images and grids": [
        "models/test_padding.py::test_every_token_of_a_padded_network_holds_pixels_of_the_image"
    ],
    "004.3 its two numbers of multiplications": [
        "models/test_response.py::test_window_attention_costs_what_post_004_says"
    ],
    "004.4 Swin-T, S, B, L": [
        "study/test_plan.py::test_every_shipped_recipe_keeps_its_claim",
        "models/test_swin_parity.py::test_published_sizes_of_swin",
    ],
    "004.5 the position bias, +1.2 to +2.3": [
        SHIPPED,
        "studies/swin_table4.toml::+1.2 on ImageNet-1K and +2.3 on ADE20K",
    ],
    "004.6 offsets as numbers of a table's rows": [
        "models/test_swin.py::test_equals_torchvision_without_shift"
    ],
}  # fmt: skip
MENDED = {
    "C1 any comparison; a family as an axis": [
        "study/test_contrasts.py::test_an_arm_is_compared_with_another_instead",
        "study/test_family_axis.py::test_other_axes_apply_on_top_of_its_fields",
        "study/test_contrasts.py::test_two_changes_between_two_sides_are_named",
    ],
    "C2 digits have the range that a normalisation promises": [
        "data/test_range.py::test_digits_fill_the_range_that_a_normalisation_promises",
        "data/test_range.py::test_changes_of_bytes_see_digits_as_bytes_and_give_back_their_range",
    ],
    "C3 crops shift by an eighth": [
        "data/test_range.py::test_an_eighth_of_digits_keeps_their_ink",
        "study/test_cautions.py::test_a_margin_that_crops_much_of_a_small_image_is_named",
    ],
    "C4 decay is decoupled in every optimizer": [
        "training/test_optim.py::test_decay_is_decoupled_and_l2_is_not_in_every_optimizer",
        "study/test_plan.py::test_adam_with_a_decoupled_decay_is_adamw_and_without_is_another_arm",
    ],
    "C5 prepbn fades over a share of the training": [
        "training/test_fading.py::test_what_is_left_depends_on_the_share_of_training_alone",
        "models/test_parts.py::test_progressive_norm_fades_from_layer_to_batch",
    ],
    "C6 post 000's mask of odd windows": [
        "models/test_post000.py::test_its_mask_is_the_posts_at_odd_windows_too"
    ],
    "C7 no norm after a post-norm encoder": [
        "models/test_swin.py::test_after_a_block_that_ends_with_a_norm_comes_no_other"
    ],
    "C8 a class token has no position, and the page says so": [
        "docs/models.md::384 parameters fewer than timm's",
        "test_docs.py::test_the_page_of_models_is_what_the_code_says",
    ],
    "C9 a band saves": ["models/test_banded.py::test_macs_fall_with_the_band"],
    "C10 every field that is an axis is listed; a level that does not fit refuses its arm": [
        "study/test_axes.py::test_every_field_that_works_as_an_axis_is_listed",
        "study/test_unfit.py::test_a_level_that_does_not_fit_refuses_its_arm_alone",
    ],
    "C11 one arm of a study is trained alone": [
        "docs/transfer.md::swinablate run studies/augmentation.toml --only baseline",
        "models/test_transfer.py::test_the_guide_plans_once_the_weights_are_there",
    ],
    "C12 patches and windows of a Swin on Fashion-MNIST": [
        "study/test_plan.py::test_patches_and_windows_of_the_fashion_swin_can_be_compared"
    ],
}  # fmt: skip
STUDIES = {
    "patch_stem, small_data_vit: a number without the table that could not be seen": [
        SHIPPED,
        "studies/patch_stem.toml::2112.13492, CIFAR-100: 76.3 against 73.8",
        "studies/small_data_vit.toml::2112.13492, CIFAR-100: 76.3 against 73.8",
    ],
    "position_codes: learned codes are called so": [
        SHIPPED,
        "studies/position_codes.toml::both learned there",
    ],
    "post000_autopsy: no crop of digits, windows, every claim of the post": [
        SHIPPED,
        "studies/post000_autopsy.toml::forward 7: window=4",
    ],
    "bn_vs_ln: deep with deep, ViT with ViT": [
        SHIPPED,
        "studies/bn_vs_ln.toml::batch norm at 16 images, deep less shallow",
    ],
    "family_macs, family_params: sources that say what is expected": [
        SHIPPED,
        "studies/family_macs.toml::ViT less ResNet-20",
        "studies/family_params.toml::2112.13492, Table 2: ViT 93.6 against Swin 94.5 on CIFAR-10",
    ],
    "data_size: the gap at one percent": [
        SHIPPED,
        'studies/data_size.toml::against = "train_fraction=0.01"',
    ],
    "augmentation: long arms with long ones": [
        SHIPPED,
        'studies/augmentation.toml::against = "1000 steps"',
    ],
    "depth of a Swin": [SHIPPED, "studies/swin_depth.toml::Depth of a Swin"],
    "patches of a Swin": [SHIPPED, "studies/swin_patch.toml::Patches of a Swin"],
    "how far windows shift": [SHIPPED, "studies/shift_by.toml::How far windows shift"],
    "all that the project is for, on one data set": [
        SHIPPED,
        "studies/mission.toml::All that Swin is ablated by",
    ],
    "batch, rate, warm-up, optimizers": [
        SHIPPED,
        "studies/batch_rate.toml::a rate that grows with the batch",
        "studies/optimizers.toml::each at the baseline's rate and at one that is",
        "studies/warmup.toml::why the rate rises first",
    ],
    "fine-tuning": [SHIPPED, "studies/fine_tuning.toml::Post 003's fine-tuning"],
    "time": [SHIPPED, "studies/time_to_train.toml::seconds of training are a hypothesis"],
    "the large ones are one command, and it plans": [
        "study/test_shipped.py::test_the_large_variant_that_a_study_names_plans_without_a_refusal"
    ],
}  # fmt: skip
USED = {
    "F1 rotary positions": ["models/test_rotary.py::test_turns_are_timms"],
    "F2 Muon": [
        "training/test_optim.py::test_muon_moves_the_matrices_of_hidden_layers_and_adamw_the_rest"
    ],
    "F3 gated MLPs": ["models/test_small_parts.py::test_a_gated_mlp_equals_timms"],
    "F4 more metrics than accuracy": [
        "config/test_compare.py::test_every_row_says_why_its_step_is_the_smallest_and_has_a_column",
        "training/test_evaluation.py::test_accuracy_under_translation_is_the_mean_of_four_directions",
    ],
    "F7 windows and sizes that the weights were not trained with": [
        "models/test_pretrained.py::test_bias_tables_are_interpolated_to_other_windows_as_by_timm",
        "models/test_pretrained.py::test_windows_of_unequal_sides_are_interpolated_where_the_file_tells_them",
        "models/test_pretrained.py::test_positions_are_interpolated_to_another_grid_as_by_timm",
    ],
    "F8 attention to neighbours": ["models/test_banded.py::test_a_vit_answers_and_learns_as_with_a_mask"],
    "F10 the head alone": ["models/test_transfer.py::test_frozen_stages_train_nothing"],
    "F12 RMSProp, Adagrad, momentum, flips upside down, GRU, both directions": [
        "training/test_optim.py::test_optimizer_is_the_one_asked_for",
        "study/test_axes.py::test_every_field_that_works_as_an_axis_is_listed",
        "data/test_turning.py::test_a_share_of_the_images_is_upside_down",
        "models/test_classics.py::test_reading_both_ways_equals_torchs",
    ],
}  # fmt: skip
OTHERWISE = {
    "000.6": "62.71 % and 83.69 % need CIFAR-10; the recipe names the first, and no test trains it",
    "001.2": "no image has more patches than the network was built for; moved images are tested",
    "001.4": "one kind, Katharopoulos's; of Linformer and Performer there is none",
    "001.6": "LSTM, GRU and Elman; Jordan's cell and peepholes are not there",
    "002.4": "batch norm evaluates by its running statistics; those of the batch are no level",
    "003.1": "AlexNet is not there: VGG and LeNet have its linear layers",
    "003.3": "the paper's blocks; the later factorised and residual ones are not there",
    "003.8": "no mosaic; sharpness is one of the policies' operations",
    "003.9": "images of one test are seen once, by one network: no averages of flips or of seeds",
    "003.13": "kernels without weights are not there, but for the constant one",
    "F4": "images are corrupted by moving them; noise, blur and contrast are not there",
    "F5": "distillation is not there: a loss by another network",
    "F6": "masked images are not there: a head and a loss of their own; weights of others load",
    "F9": "tokens are neither merged nor dropped",
    "F10": "nothing between the head alone, whole stages and all: no LoRA",
    "F11": "dense heads are not there: the project classifies",
    "F13": "kernels are chosen by torch; what rounds otherwise says so in its record",
}
"""Row -> what of it is not offered, or why it is otherwise."""
HELD = POSTS | MENDED | STUDIES | USED


def test_every_row_is_answered():
    for seed, last in {"000": 12, "001": 10, "002": 7, "003": 13, "004": 6}.items():
        rows = [row.split()[0] for row in POSTS if row.startswith(seed)]
        assert rows == [f"{seed}.{n}" for n in range(1, last + 1)]
    assert [row.split()[0] for row in MENDED] == [f"C{n}" for n in range(1, 13)]
    known = {row.split()[0] for row in HELD}
    used = known | OTHERWISE.keys()
    assert {f"F{n}" for n in range(1, 14)} <= used
    assert {row for row in OTHERWISE if not row.startswith("F")} <= known


@pytest.mark.parametrize("row", HELD)
def test_what_a_source_asks_for_is_held(row):
    assert HELD[row]
    assert lacking(HELD[row]) == []
