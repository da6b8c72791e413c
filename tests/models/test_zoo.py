"""Networks of timm and torchvision, by name."""

import importlib
import subprocess
import sys

import pytest
import torch

from swinablate.config.code import imports
from swinablate.config.family import ImageSpec
from swinablate.config.schema import evolve, validate
from swinablate.errors import InputError
from swinablate.models.build import start, tables
from swinablate.models.registry import load_family

IMAGE = ImageSpec(height=32, width=32, channels=1, classes=4)
COLOR = ImageSpec(height=32, width=32, channels=3, classes=4)
VIT = "timm:vit_tiny_patch16_224"


def config(name, **fields):
    return validate(load_family(name, "r.toml").config, fields, "r.toml: model")


def built(name, image=IMAGE, **fields):
    made = load_family(name, "")
    return start(made, config(name, **fields), image, lambda n: torch.Generator().manual_seed(0))


def test_timm_by_name_is_timms_own_network_on_our_images():
    import timm

    ours = built(VIT, depth=2)
    torch.manual_seed(0)
    theirs = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, in_chans=1, num_classes=4, depth=2
    )
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    assert len(ours.blocks) == 2
    assert ours.embed_dim == 192  # of the name, not of the class


def test_a_preset_is_left_to_the_name_and_names_the_trial():
    chosen = config(VIT)
    assert (chosen.embed_dim, chosen.img_size, chosen.num_classes) == ("preset", "data", "data")
    assert chosen.model_dump(exclude_defaults=True) == {
        "code": f"timm {imports.package_version('timm')}"
    }
    assert config(VIT, drop_path_rate=0.1).drop_path_rate == 0.1
    assert config(VIT, global_pool="avg").global_pool == "avg"


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("timm:vit_tiny_patch16_22", {}, ("r.toml: timm has no model called 'vit_tiny_patch16_22'"
         "\n\nhint: did you mean 'vit_tiny_patch16_224'?")),
        ("timm:", {}, "r.toml: timm has no model called ''\n\nhint: see timm.models.list_models()"),
        ("torchvision:resnet81", {}, ("r.toml: torchvision has no model called 'resnet81'\n\n"
         "hint: did you mean 'resnet18'?")),
        ("torchvision:maskrcnn_resnet50_fpn", {}, "r.toml: torchvision has no model called "),
        (VIT, {"pretrained": True}, ("r.toml: model: 'pretrained' cannot be set: every network "
         "here starts from its seed\n\nhint: leave it out")),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, "r.toml: model: 'weights' cannot be set"),
        (VIT, {"dropout_rat": 1}, "r.toml: model: unknown key 'dropout_rat'\n\nhint: did you "),
        (VIT, {"depth": "two"}, ("r.toml: model: depth: expected a whole number or 'preset', got "
         "'two'")),
    ],
)  # fmt: skip
def test_what_a_zoo_does_not_have_is_refused(name, fields, message):
    with pytest.raises(InputError) as caught:
        config(name, **fields)
    assert str(caught.value).startswith(message)


def test_a_library_that_is_not_there_is_named_with_its_extra(monkeypatch):
    def absent(name, *rest):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(InputError) as caught:
        load_family("timm:resnet34", "r.toml: model")
    assert str(caught.value) == (
        "r.toml: model: timm is not installed\n\nhint: pip install 'swinablate[timm]'"
    )


def test_torchvision_by_name():
    from torchvision.models import resnet18

    ours = built("torchvision:resnet18", COLOR)
    torch.manual_seed(0)
    theirs = resnet18(num_classes=4)
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    assert built("torchvision:vit_b_32", COLOR, dropout=0.1).image_size == 32
    known = set(type(config("torchvision:vit_b_32")).model_fields)
    assert known == {"family", "code", "image_size", "dropout", "attention_dropout", "num_classes",
                     "representation_size"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        (
            "torchvision:resnet18",
            {},
            (
                "torchvision:resnet18 fails on images of 1x32x32 in evaluation mode: RuntimeError: "
                "Given groups=1, weight of size [64, 3, 7, 7]"
            ),
        ),
        (
            "torchvision:swin_t",
            {"stochastic_depth_prob": 0.3},
            "torchvision:swin_t(stochastic_depth_prob=0.3, num_classes=4) failed: TypeError: ",
        ),
    ],
)
def test_what_a_zoos_network_cannot_do_is_told(name, fields, message):
    made = load_family(name, "")
    with pytest.raises(ValueError, match="torchvision") as caught:
        made.geometry(config(name, **fields), IMAGE)
    assert str(caught.value).startswith(message)


def test_a_resnets_widths_are_its_names_and_no_channels_of_images():
    chosen = config("timm:resnet18")
    assert (chosen.channels, chosen.in_chans) == ("preset", "data")
    made = load_family("timm:resnet18", "")
    assert made.build(chosen, IMAGE).layer4[1].conv2.out_channels == 512
    narrow = made.build(config("timm:resnet18", channels=(8, 8, 16, 16)), IMAGE)
    assert narrow.layer4[1].conv2.out_channels == 16


TIMM = [
    # ResNets and what came of them
    "resnet18", "resnet26", "resnet26d", "resnet34", "resnet50", "resnext50_32x4d",
    "wide_resnet50_2", "seresnet50", "ecaresnet26t", "resnetv2_50", "res2net50_26w_4s",
    "regnetx_002", "regnety_002", "cspresnet50", "nfnet_f0", "repvgg_a0", "densenet121",
    "dla34", "darknet53", "hrnet_w18_small", "vgg11", "vgg11_bn",
    # transformers
    "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_small_patch32_224",
    "vit_base_patch16_224", "deit_tiny_patch16_224", "deit3_small_patch16_224",
    "swin_tiny_patch4_window7_224", "swin_small_patch4_window7_224", "swinv2_tiny_window8_256",
    "swinv2_cr_tiny_224", "swin_s3_tiny_224", "cait_xxs24_224", "pvt_v2_b0", "mixer_s16_224",
    "poolformer_s12", "tiny_vit_5m_224", "mobilevit_xxs", "maxvit_nano_rw_256",
    "coatnet_nano_rw_224",
    # ConvNeXts, EfficientNets, MobileNets
    "convnext_atto", "convnext_femto", "convnext_tiny", "convnext_small", "convnextv2_atto",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_lite0", "tf_efficientnet_lite0",
    "efficientnetv2_rw_t", "fastvit_t8", "mobilenetv2_100", "mobilenetv3_small_100",
    "mobilenetv3_large_100", "mobilenetv4_conv_small", "mobileone_s0", "mnasnet_100",
    "fbnetc_100", "ghostnet_100", "edgenext_xx_small",
]  # fmt: skip
GRAY = ImageSpec(height=28, width=28, channels=1, classes=10)
SMALL = ImageSpec(height=32, width=32, channels=3, classes=10)


TOO_SMALL = {
    "densenet121", "dla34", "hrnet_w18_small", "vgg11", "vgg11_bn", "vit_small_patch32_224", "pvt_v2_b0",
    "maxvit_nano_rw_256", "coatnet_nano_rw_224", "convnext_atto", "convnext_femto",
    "convnext_tiny", "convnext_small", "convnextv2_atto", "edgenext_xx_small",
}  # fmt: skip
"""Networks that halve a grid of 28 once too often: timm's own answer to such an image is an error."""


def timms_own(name, image):
    """What timm makes of images of this size, whatever it raises."""
    import timm

    fields = {"num_classes": image.classes, "in_chans": image.channels}
    try:
        network = timm.create_model(name, img_size=image.height, **fields)
    except TypeError:  # it takes any size
        network = timm.create_model(name, **fields)
    with torch.no_grad():
        return network.eval()(torch.zeros(2, image.channels, image.height, image.width))


@pytest.mark.parametrize("image", [GRAY, SMALL], ids=["gray28", "colour32"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if name in {"resnet26d", "tiny_vit_5m_224"} else pytest.mark.slow
        )
        for name in TIMM
    ],
)
def test_timms_networks_are_families_at_small_images_where_timm_can(name, image):
    """Each answers in both modes, or is refused in a plan where timm itself has no answer."""
    made, chosen = load_family(f"timm:{name}", ""), config(f"timm:{name}")
    if image is GRAY and name in TOO_SMALL:
        with pytest.raises(ValueError, match=f"^timm:{name} fails on images of 1x28x28 in "):
            made.geometry(chosen, image)
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            timms_own(name, image)
    else:
        assert made.geometry(chosen, image)  # it looks at the answers of both modes, and refuses
        with torch.no_grad():
            answer = made.build(chosen, image).eval()(
                torch.zeros(2, image.channels, image.height, image.width)
            )
        assert answer.shape == timms_own(name, image).shape == (2, 10)


def test_networks_with_two_answers_in_training_are_refused():
    made = load_family("torchvision:googlenet", "")
    fields = {"init_weights": False}
    with pytest.raises(ValueError, match="returns a GoogLeNetOutputs in training mode"):
        made.geometry(config("torchvision:googlenet", **fields), COLOR)
    single = config("torchvision:googlenet", aux_logits=False, **fields)
    assert made.geometry(single, COLOR)[-1] == {"child": "fc", "kind": "Linear", "shape": (4,)}


def test_timms_and_torchvisions_tables_are_not_decayed():
    """By timm's own word; of torchvision's the reference scripts name the same."""
    swin = tables(built("timm:swin_tiny_patch4_window7_224", COLOR, depths=[1, 1]))
    assert {name.rpartition(".")[2] for name in swin} == {"relative_position_bias_table"}
    second = tables(built("timm:swinv2_tiny_window8_256", COLOR, depths=[1, 1], window_size=2))
    assert "layers.0.blocks.0.attn.logit_scale" in second
    assert any("attn.cpb_mlp" in name for name in second)  # timm 1.0.31 names what is in it
    assert {"cls_token", "pos_embed"} <= tables(built(VIT, depth=1))
    assert tables(built("torchvision:vit_b_32", COLOR)) == {"class_token", "encoder.pos_embedding"}


def test_an_axis_of_a_zoos_network_is_checked_like_any_other():
    chosen = config(VIT)
    changed = evolve(chosen, {"depth": 3}, at="axes")
    assert (changed.depth, changed.code) == (3, chosen.code)
    with pytest.raises(InputError, match="no switch is called 'dept'"):
        evolve(chosen, {"dept": 3}, at="axes")


def test_workers_do_not_import_a_zoo_unless_they_need_it():
    code = (
        "import sys, swinablate.execution.worker as w; from swinablate.models.registry import load_family; "
        "load_family('swin', ''); print({'timm', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
