"""Several replicas of one network trained as one: seeds, learning rates, weight decays.

The weights of K replicas are one matrix [K, P], the network is called through `torch.vmap`
over its rows, and torch's fused optimizer takes stretches of them. So a step of K replicas
launches about as many kernels as a step of one (HFTA, arXiv:2102.02344, has the idea). Every
replica keeps its own order of images, augmentation, drop masks, optimizer state, clipping, rate
and metrics; no number of one reaches another.

Shapes: k replicas, p all parameters of one, b batch, c channels, h w pixels.
"""

import weakref
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from swinablate.config.recipe import Recipe
from swinablate.config.schema import sparse
from swinablate.config.train import TrainConfig
from swinablate.models.build import copied
from swinablate.models.layers.attention import DotProduct
from swinablate.models.layers.norm import Fading
from swinablate.training.fused.drops import Given, find_drops
from swinablate.training.graphs import Recorded, recorder
from swinablate.training.machine import reseed
from swinablate.training.optim import make_optimizer, of_groups, set_rate
from swinablate.training.precision import FORMATS, autocast, layout

Targets = Int[Tensor, "k b"] | Float[Tensor, "k b classes"]
"""Classes, or the share of each class."""
KEPT = 2
"""Of the bytes that the backward pass keeps of an image, how many times admission counts them:
gradients are as large. Without gradients an image takes no more than it keeps, so that validation
looks at so many times a training batch at once."""
MAPS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose weights autocast casts."""
REMEMBERED = {
    "sgd": ("momentum_buffer",),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "adam": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg",),
    "adagrad": ("sum",),
}
"""What torch's optimizers call the numbers that they keep of every weight."""


def why_not(recipes: Sequence[Recipe]) -> str | None:
    """Why these recipes cannot train as one; None if they can.

    They may differ in learning rate and weight decay, as the same arm may in its seed.
    """
    first = recipes[0]
    if any(common(recipe) != common(first) for recipe in recipes):
        return "they differ in more than learning rate and weight decay"
    alone = {
        "train.optimizer = muon": first.train.optimizer == "muon",  # its matrices are no stretches
        "train.precision = fp16": first.train.precision == "fp16",
        "train.ema": first.train.ema > 0,
        "train.accumulate": first.train.accumulate > 1,
        "train.compile": first.train.compile,
        "train.world": first.train.world > 1,
        "a recipe with [start]": bool(sparse(first.start)),
    }
    used = [name for name, on in alone.items() if on]
    return f"{' and '.join(used)} trains alone only" if used else None


def common(recipe: Recipe) -> Recipe:
    """The recipe without what replicas of one graph may differ in."""
    free = {"lr": 1.0, "weight_decay": 0.0}  # any two valid values, the same for all
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=free)})


class Stack:
    """K replicas of a network.

    Args:
        models: the replicas with their initial weights, alike but for these; they are kept to
            carry a replica's state in and out.
        trains: how each is trained.
        example: one batch for one replica, of the shape that training has.

    Attributes:
        recorded: what does the gradients of a step as one launch, on a GPU where that may be.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        trains: Sequence[TrainConfig],
        example: Float[Tensor, "b c h w"],
    ) -> None:
        self.models, self.train = list(models), trains[0]
        self.optimizers = [make_optimizer(m, t) for m, t in zip(self.models, trains, strict=True)]
        first = self.models[0]
        self.drops = find_drops(first, example, layout(self.train))
        names = {p: name for name, p in first.named_parameters()}
        groups = [[names[p] for p in g["params"]] for g in self.optimizers[0].param_groups]
        # By group, so that one replica's numbers of a group are one stretch of its row.
        self._shapes = {n: first.get_parameter(n).shape for group in groups for n in group}
        rows = [
            torch.cat([m.get_parameter(name).detach().flatten() for name in self._shapes])
            for m in self.models
        ]
        self.flat = torch.stack(rows)  # k p
        # They share memory with `flat`: gradients come by parameter, updates go by matrix.
        self._leaves = {
            name: part.detach().requires_grad_() for name, part in self._parts(self.flat).items()
        }
        mapped = [name for name, m in first.named_modules() if isinstance(m, MAPS)]
        self._short = {n for n in self._shapes if n.rpartition(".")[0] in mapped}
        buffers = [self._rest(m) for m in self.models]
        self._buffers = {name: torch.stack([b[name] for b in buffers]) for name in buffers[0]}
        self.moments = [torch.zeros_like(self.flat) for _ in range(2)]
        self._grads = torch.zeros_like(self.flat)
        self._fading = Fading(first, self.train.norm_fade)
        self.steps = 0
        sizes = [sum(self._shapes[name].numel() for name in group) for group in groups]
        self._optimizer = self._over_rows(trains, sizes)
        self._decays = self._of_columns(trains, sizes)
        self._net = copied(first)
        for drop in self.drops:
            self._net.set_submodule(drop.path, Given(drop.layer))
        self._masked = tuple(dict.fromkeys(drop.path for drop in self.drops))
        self.recorded = self._of_device(first)
        for module in self._net.modules():
            if isinstance(module, DotProduct):
                module.kernel = False  # it is none over a stack
        self._net.to("meta")  # its structure is what is used

    def _of_device(self, network: nn.Module) -> Recorded | None:
        """What records and repeats `_learn`, on a GPU where that may be."""
        on = recorder(self.flat.device, network)
        if on is None:
            return None
        # Weakly: a circle would keep the memory of a stack until Python looks for circles.
        stack = weakref.proxy(self)

        def learn(x: Tensor, y: Tensor, *masks: Tensor) -> Tensor:
            found: Tensor = stack._learn(x, y, *masks)
            return found

        return Recorded(
            learn,
            on,
            changed=lambda: list(stack._buffers.values()),
            made=lambda: [stack._grads],
            adopt=lambda _: None,  # they are where they always are
        )

    def _rest(self, model: nn.Module) -> dict[str, Tensor]:
        """What the optimizer leaves alone: buffers and frozen parameters."""
        frozen = {n: p.detach() for n, p in model.named_parameters() if n not in self._shapes}
        return frozen | dict(model.named_buffers())

    def _over_rows(
        self, trains: Sequence[TrainConfig], sizes: Sequence[int]
    ) -> torch.optim.Optimizer:
        """One optimizer of all replicas: a group for every rate and decay that occurs.

        Its parameters are stretches of rows, and so are their gradients and moments: a step is
        one call for each group.

        Args:
            trains: how each is trained.
            sizes: numbers in each of a replica's own groups.
        """
        groups: dict[tuple[float, float], list[Tensor]] = {}
        held = [self.flat, self._grads, *self.moments]
        states: dict[Tensor, dict[str, Tensor]] = {}
        for k, train in enumerate(trains):
            own = self.optimizers[k].param_groups
            stretches = [torch.split(matrix[k], list(sizes)) for matrix in held]
            for group, weights, grad, *moments in zip(own, *stretches, strict=True):
                groups.setdefault((train.peak_lr, group["weight_decay"]), []).append(weights)
                weights.grad = grad
                states[weights] = self._state(moments)
        settings = [
            {"params": parts, "weight_decay": decay, "factor": lr}
            for (lr, decay), parts in groups.items()
        ]
        optimizer = of_groups(settings, self.train, fused_sgd=True)
        optimizer.state.update(states)
        return optimizer

    def _of_columns(
        self, trains: Sequence[TrainConfig], sizes: Sequence[int]
    ) -> list[tuple[slice, Float[Tensor, "k 1"]]]:
        """The decay that torch's optimizer does not have (`optim.decay`): where, and how much.

        Of the columns of each group what a step at the peak rate takes of every replica. One call
        for all rows: they are not split as they are for the optimizer.
        """
        found, at = [], 0
        for i, size in enumerate(sizes):
            ours = [own.param_groups[i].get("decay", 0.0) for own in self.optimizers]
            if any(ours):
                taken = [train.peak_lr * one for train, one in zip(trains, ours, strict=True)]
                found.append((slice(at, at + size), self.flat.new_tensor(taken)[:, None]))
            at += size
        return found

    def _state(self, moments: Sequence[Tensor]) -> dict[str, Tensor]:
        """What torch's optimizer remembers of one parameter."""
        kept = dict(zip(REMEMBERED[self.train.optimizer], moments, strict=False))
        if self.train.optimizer == "sgd":
            return kept
        # Its own for each: the optimizer counts it up, and Adagrad's reads it, as a number here.
        at = self.flat.device if "exp_avg_sq" in kept else "cpu"
        return {"step": torch.full((), float(self.steps), device=at), **kept}

    def fade(self, done: float) -> None:
        """Bring norms that fade to where they are after a share of the training, in all rows."""
        for name in self._fading.norms:
            self._buffers[f"{name}.share"].fill_(self._fading.share(done))

    def _parts(self, flat: Float[Tensor, "k p"]) -> dict[str, Float[Tensor, "k ..."]]:
        """Views of the rows as the parameters of all replicas, by name."""
        found, at = {}, 0
        for name, shape in self._shapes.items():
            found[name] = flat[:, at : at + shape.numel()].view(len(flat), *shape)
            at += shape.numel()
        return found

    def learn(
        self, x: Float[Tensor, "k b c h w"], masks: Mapping[str, Tensor]
    ) -> Float[Tensor, "k b classes"]:
        """Logits in training mode.

        Args:
            x: a batch for each replica.
            masks: of the drop layers, as `draw` gives them.
        """
        self._net.train()
        state = self._buffers | {f"{path}.mask": mask for path, mask in masks.items()}
        with autocast(self.train, self.flat.device):
            return torch.vmap(self._call)(self._cast(), state, x)

    @torch.no_grad()
    def judge(
        self, x: Float[Tensor, "k b c h w"] | Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "k b classes"]:
        """Logits in evaluation mode.

        Args:
            x: a batch for each replica, or one for all.
        """
        self._net.eval()
        # It drops nothing, in place of the last step's masks.
        one = self.flat.new_ones(len(self.flat))
        state = self._buffers | {f"{drop.path}.mask": one for drop in self.drops}
        of_x = 0 if x.ndim == 5 else None  # k b c h w
        with autocast(self.train, self.flat.device):
            return torch.vmap(self._call, in_dims=(0, 0, of_x))(self._cast(), state, x)

    def _cast(self) -> dict[str, Tensor]:
        """The weights in the formats that autocast would give them.

        Under `torch.vmap` a map with a bias is a product and a sum, of which autocast sees the
        product alone: a bias in fp32 would bring all that follows back to fp32.
        """
        short = FORMATS[self.train.precision]
        return {n: w.to(short) if n in self._short else w for n, w in self._leaves.items()}

    def _call(self, weights: dict[str, Tensor], state: dict[str, Tensor], x: Tensor) -> Tensor:
        logits: Tensor = functional_call(self._net, (weights, state), (x,))
        return logits

    def rehearse(self, x: Float[Tensor, "b c h w"]) -> None:
        """Do all that training does, on any images, and leave no trace.

        Raises:
            RuntimeError: something in the network does not run over a stack of weights, or
                drops twice in one pass: there is one mask for every layer that drops.
        """
        paths = [drop.path for drop in self.drops]
        if twice := next((path for path in paths if paths.count(path) > 1), None):
            raise RuntimeError(f"{twice} drops more than once in a pass, and has one mask")
        kept = {name: value.clone() for name, value in self._buffers.items()}
        with torch.random.fork_rng(devices=[]):
            masks = self.draw(range(len(self.flat)))
        every = x.expand(len(self.flat), *x.shape)
        logits = self.learn(every, masks)
        torch.autograd.grad(logits.square().sum(), list(self._leaves.values()))
        for images in (every, x):  # each its own, and all the same
            self.judge(images)
        for name, value in kept.items():
            self._buffers[name].copy_(value)

    def draw(self, seeds: Sequence[int]) -> dict[str, Tensor]:
        """Masks of one step: those that each replica would draw alone from its seed.

        Every layer's draws are a call of their own for every replica, as they are alone: on a GPU
        one call for two layers would give other numbers.
        """
        device, drawn = self.flat.device, []
        ones = {drop.place: drop.ones(device) for drop in self.drops}
        for seed in seeds if self.drops else ():
            reseed(seed, device)
            drawn.append([drop.draw(ones[drop.place]) for drop in self.drops])
        rows = zip(self.drops, zip(*drawn, strict=True), strict=True)
        return {drop.path: drop.masks(torch.stack(row)) for drop, row in rows}

    def gradients(
        self, x: Float[Tensor, "k b c h w"], y: Targets, masks: Mapping[str, Tensor]
    ) -> Float[Tensor, " k"]:
        """Leave every replica's gradients, clipped, for `step`; returns the losses.

        Args:
            x: a batch for each replica.
            y: classes, or shares of the classes.
            masks: of the drop layers, as `draw` gives them.
        """
        learn = self.recorded or self._learn
        return learn(x, y, *(masks[path] for path in self._masked))

    def _learn(
        self, x: Float[Tensor, "k b c h w"], y: Targets, *masks: Tensor
    ) -> Float[Tensor, " k"]:
        logits = self.learn(x, dict(zip(self._masked, masks, strict=True)))
        found = losses(logits, y, self.train.label_smoothing)
        parts = torch.autograd.grad(found.sum(), list(self._leaves.values()))
        with torch.no_grad():
            torch.cat([part.flatten(1) for part in parts], 1, out=self._grads)
            if self.train.clip:
                norms = torch.linalg.vector_norm(self._grads, dim=1, keepdim=True)
                # 1e-6 as in `clip_grad_norm_`, which clips the same trial alone.
                self._grads *= (self.train.clip / (norms + 1e-6)).clamp(max=1.0)
        return found.detach()

    def step(self, rate: float) -> None:
        """One step of every replica's optimizer along the gradients that are there.

        Args:
            rate: share of the peak learning rate.
        """
        with torch.no_grad():
            for columns, taken in self._decays:
                self.flat[:, columns] *= 1 - rate * taken
        self.steps += 1
        set_rate(self._optimizer, rate)  # of each group's own peak
        self._optimizer.step()

    @torch.no_grad()
    def give(self, k: int) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Replica `k` as a network and an optimizer of its own, with their present state."""
        model, optimizer = self.models[k], self.optimizers[k]
        weights = {name: part[k] for name, part in self._parts(self.flat).items()}
        buffers = {name: value[k] for name, value in self._buffers.items()}
        kept = model.state_dict()
        model.load_state_dict({n: v for n, v in (weights | buffers).items() if n in kept})
        moments = [self._parts(moment) for moment in self.moments]
        for name in self._shapes:
            values = [moment[name][k].clone() for moment in moments]
            optimizer.state[model.get_parameter(name)] = self._state(values)
        return model, optimizer

    @torch.no_grad()
    def take(self, k: int, steps: int) -> None:
        """Set replica `k` to the state of its own network and optimizer, after `steps` steps."""
        model, optimizer = self.models[k], self.optimizers[k]
        weights, moments = self._parts(self.flat), [self._parts(m) for m in self.moments]
        keys = REMEMBERED[self.train.optimizer]
        for name in self._shapes:
            parameter = model.get_parameter(name)
            weights[name][k].copy_(parameter)
            for moment, key in zip(moments, keys, strict=False):
                if key in optimizer.state[parameter]:  # SGD without momentum keeps none
                    moment[name][k].copy_(optimizer.state[parameter][key])
        for name, value in self._rest(model).items():
            self._buffers[name][k].copy_(value)
        self.steps = steps
        for state in self._optimizer.state.values():
            if "step" in state:
                state["step"].fill_(steps)


def losses(
    logits: Float[Tensor, "k b classes"],
    targets: Targets,
    smoothing: float,
) -> Float[Tensor, " k"]:
    """Mean cross-entropy of every replica.

    Args:
        logits: of the replicas.
        targets: classes, or shares of the classes.
        smoothing: label smoothing.
    """
    each = F.cross_entropy(
        logits.float().flatten(0, 1),
        targets.flatten(0, 1),
        label_smoothing=smoothing,
        reduction="none",
    )
    return each.view(logits.shape[:2]).mean(1)
