"""One run of a study: lock it, declare it, recall its records, let a coordinator train, count."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from swinablate import data
from swinablate.config.data import DataConfig
from swinablate.config.metrics import on_request
from swinablate.config.recipe import CommandRecipe
from swinablate.errors import EnvironmentFault
from swinablate.execution.ahead.autotune import Choices, choose
from swinablate.execution.ahead.ladder import Ladder
from swinablate.execution.attempts import Attempts, ended_well, settled, superseded
from swinablate.execution.coordinator import (
    Context,
    Coordinator,
    Copy,
    Watcher,
    advanced,
    check_images,
    progress,
)
from swinablate.execution.devices import check_here, gpus_each, slots_of
from swinablate.execution.executor import Execution, PerGpu, Request, Slot, chosen
from swinablate.execution.feeder import Feeder, Tickets, Widths, check_only, unseen
from swinablate.execution.stop import Stop
from swinablate.execution.workers.crew import keep_folders
from swinablate.records.disk.files import drop_half_written
from swinablate.records.events import CHECKPOINT_S
from swinablate.records.home import Home
from swinablate.records.launch import UNKNOWN, Launch, keep_launch
from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, everything
from swinablate.records.provenance import provenance
from swinablate.scheduling.claims import Claims
from swinablate.scheduling.due import Due, State, due
from swinablate.scheduling.first import said_first
from swinablate.scheduling.owner import Owner, owning
from swinablate.scheduling.queue import Queue, queue_name
from swinablate.study.noise.expected import expected_noise
from swinablate.study.plan import Plan
from swinablate.study.plan_record import plan_record, with_images
from swinablate.tracking.cards import study_card
from swinablate.tracking.mirror import mirror


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run a study; nothing here changes what a trial computes."""

    slots: int | None = None
    devices: str = "auto"
    per_gpu: PerGpu = None  # instead of `slots`
    on_oom: str = "fail"  # or "halve": tried again in more parts of a batch
    fuse: int | None = None  # trials that train as one; None chooses, 1 is off
    executor: str = "local"
    cluster: Request = field(
        default_factory=Request
    )  # what an executor of others' machines asks for
    only: tuple[str, ...] = ()
    storage: str | None = None
    tracking: str | None = None
    retry: bool = False
    more: int | None = None  # seeds for what is undecided
    launch: Launch = UNKNOWN  # what started it
    hang_timeout: float | None = None  # seconds without a word; None: as `attempts` has it
    checkpoint_every: float = CHECKPOINT_S  # seconds of training between two checkpoints
    data: Path | None = None  # prepared data sets, instead of the home's own
    take_over: bool = False  # although the lock is held, if by nobody who is known to be alive

    def stores(self, home: Home) -> tuple[str, str]:
        """Addresses of Optuna's and MLflow's stores: those that were given, or the home's own.

        Raises:
            InputError: no address can name a file in this home.
        """
        return self.storage or home.optuna_url, self.tracking or home.mlflow_uri


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run ended.

    Attributes:
        counts: trials by status, of those that the study has asked for.
        missing: trials it has asked for that have no record.
        unmirrored: calls that did not reach MLflow.
        unreachable: MLflow answered no more at the end.
        settled: failures that another attempt would only repeat.
        mirrored: something was left to train, so that MLflow was told of all trials meanwhile.
        spent: the budget ended it.
    """

    counts: Counter[str]
    missing: int
    unmirrored: int
    exit_code: int
    spent: bool = False
    unreachable: bool = False
    settled: int = 0
    mirrored: bool = False

    @property
    def worth_retrying(self) -> int:
        """Trials that failed and might end well another time."""
        return self.counts["failed"] + self.counts["diverged"] - self.settled


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Ways out of this process: where trials run, where tickets wait, what MLflow is told.

    Attributes:
        execution: (slots, folder for logs, "is a stop wanted?") -> an execution.
        queue: opens the tickets of the study.
        owner: makes them one owner's.
        copy: opens what is shown of it.
        slots: where trials will run; None: on this machine.
    """

    execution: Callable[[Sequence[Slot], Path, Callable[[], bool]], Execution]
    queue: Callable[[], Tickets]
    owner: Callable[[Owner], AbstractContextManager[None]]
    copy: Callable[[], Copy]
    slots: Callable[[], list[Slot]] | None = None

    @classmethod
    def real(cls, record: PlanRecord, home: Home, options: Options) -> "Doors":
        """Those that the options name.

        Raises:
            InputError: no executor has that name, or it takes no cluster's options.
        """
        executor = chosen(options.executor, options.cluster)
        name = queue_name(record.study, record.declaration)
        arms = [arm.name for arm in record.arms]
        card = study_card(record, options.launch)
        storage, tracking = options.stores(home)
        return cls(
            execution=executor.open,
            queue=lambda: Queue.open(storage, name, arms),
            owner=lambda owner: owning(storage, name, owner),
            copy=lambda: mirror(tracking, home.artifacts, card),
            slots=executor.slots,
        )


def execute(made: Plan, home: Home, options: Options, watcher: Watcher) -> Summary:
    """Declare a plan in a home and train what is not recorded there.

    Raises:
        InputError: `--only` or `--executor` names nothing, or the images are others than those
            of recorded trials.
        EnvironmentFault: lock, disk, data or Optuna's store are in the way.
        KeyboardInterrupt: the second Ctrl-C; the workers were killed.
    """
    check_only(made, options.only)
    check_here(options.per_gpu, options.executor)
    options.stores(home)  # where these cannot be, nothing is made
    home.create()
    if options.retry:
        _mend(made, home, options, watcher)
    recorded = home.outcomes(trial.id for trial in made.trials)
    planned = plan_record(made, recorded, expected_noise(made, home))
    record = with_images(planned, made, home.datasets)
    options = replace(options, cluster=options.cluster.about(made, options.slots, watcher.say))
    doors = Doors.real(record, home, options)
    for line in superseded(made, home):
        watcher.say(line)
    return Run(made, record, home, options, watcher, doors).run()


def _mend(made: Plan, home: Home, options: Options, watcher: Watcher) -> None:
    """Put damaged records aside, so that their trials run again."""
    with home.owned(made.study.name, take_over=options.take_over):
        ledger = home.ledger(made.study.name, made.declaration)
        trials = dict.fromkeys([*(trial.id for trial in made.trials), *ledger.named])
        with closing(Claims(home, take_over=options.take_over)) as claims:
            for line in home.mend(_unclaimed(trials, claims), anew=True):
                watcher.say(line)


def _unclaimed(trials: Iterable[str], claims: Claims) -> Iterator[str]:
    """Those that no other study trains, each held while it is looked at."""
    for trial in trials:
        with claims.passing(trial) as had:
            if had:
                yield trial


class Run:
    """A declared study, about to run."""

    def __init__(  # noqa: PLR0913, PLR0917  all that a run depends on; there is no default
        self,
        plan: Plan,
        record: PlanRecord,
        home: Home,
        options: Options,
        watcher: Watcher,
        doors: Doors,
        attempts: Attempts | None = None,
    ) -> None:
        self._plan, self._record, self._home = plan, record, home
        self._options, self._watcher, self._doors = options, watcher, doors
        if attempts is None:
            attempts = Attempts(hang_s=options.hang_timeout)
        self._attempts = attempts
        self._claims = Claims(home, take_over=options.take_over)
        self._stop = Stop()
        self._before: dict[str, Outcome] = {}  # how those ended that are tried again

    def run(self) -> Summary:
        """Train what is not recorded; returns when nothing is due and nothing runs."""
        told = self._options
        slots = slots_of(self._doors.slots, self._plan, told.slots, told.devices, told.per_gpu)
        gpus = gpus_each(slots, here=self._doors.slots is None)
        take_over = self._options.take_over
        with self._home.owned(self._record.study, take_over=take_over), closing(self._claims):
            drop_half_written(self._home.studies / self._record.study)
            self._home.declare(self._record)
            keep_launch(self._home, self._record, self._options.launch)
            state = advanced(self._plan, self._recalled(), self._home)
            if not due(state).left:  # no worker, no store and no images are needed to say so
                self._begin(due(state), 0)
                return self._ended(state, None)
            digests = self._prepared(state)
            self._look_at_images()
            with self._stop.on_signals(self._say_stopping), self._opened(slots) as opened:
                running, queue, copy = opened
                context = Context(
                    plan=self._plan,
                    home=self._home,
                    claims=self._claims,
                    data=digests,
                    choices=choose(self._plan, self._home, running, lambda: self._stop.wanted),
                    provenance=provenance() | ({"gpus": gpus} if gpus else {}),
                    ladder=self._ladder(),
                    asked=on_request(self._record.metrics),
                    checkpoint_s=self._options.checkpoint_every,
                )
                self._begin(due(state), 0 if slots[0].measured else len(slots))
                # A crash leaves runs shown as running; those of trials that go on may stay so.
                copy.sweep(set(everything(state.plan)) - set(state.outcomes))
                outlets = (running, self._feeder(queue, slots[0].device, context.choices), copy)
                coordinator = Coordinator(
                    context,
                    state,
                    outlets,
                    attempts=self._attempts,
                    stop=self._stop,
                    watcher=self._watcher,
                )
                coordinator.run()
                state = coordinator.state
        if self._stop.fault:
            raise self._stop.fault
        return self._ended(state, copy)

    def _recalled(self) -> State:
        """What is recorded already, of this study or of any other in this home."""
        ledger = self._home.ledger(self._record.study, self._record.declaration)
        record = self._record.model_copy(update={"ledger": ledger})
        outcomes = self._home.outcomes(everything(record))
        for trial in outcomes:
            self._home.finish(trial)
        state = State.of(record, outcomes, self._options.only or None)
        if not self._options.retry:
            return state
        again = [row.trial for row in state.mine if row.trial in outcomes]
        again = [trial for trial in again if not ended_well(outcomes[trial])]
        for trial in again:
            before = outcomes.pop(trial)
            with self._claims.passing(trial) as had:  # else another study tries it again already
                now = self._home.outcome(trial) if had else None
                if now is not None and ended_well(now):
                    outcomes[trial] = now
                    continue
                if had:
                    self._home.reopen(trial)
            self._before[trial] = before
        return State.of(record, outcomes, self._options.only or None)

    def _look_at_images(self) -> None:
        """Say what the images, which are there now, make a reader beware of; the report does."""
        before = self._record.warnings
        self._record = with_images(self._record, self._plan, self._home.datasets)
        for one in (one for one in self._record.warnings if one not in before):
            self._watcher.say(f"{one.code} {one.text}")
        self._home.declare(self._record)

    def _prepared(self, state: State) -> dict[DataConfig, str]:
        """Get all images; refuse to mix trials of other images with those recorded.

        Returns:
            Data of an arm -> digest of its images.
        """
        prepared, digests = dict[DataConfig, data.Prepared](), dict[DataConfig, str]()
        arms = {arm.name: arm for arm in self._plan.arms if state.runs(arm.name)}
        # The images of a command are its script's business.
        theirs = [arm for arm in arms.values() if isinstance(arm.recipe, CommandRecipe)]
        digests |= {arm.recipe.data: "" for arm in theirs}
        ours = [arm for arm in arms.values() if arm not in theirs]
        for config in dict.fromkeys(cut for arm in ours for cut in arm.data):
            source = data.source(config)
            if source not in prepared:
                prepared[source] = data.prepare(config, self._home.datasets)
            trains = [arm.recipe.train for arm in ours if config in arm.data]
            data.check_sizes(config, prepared[source], trains)
            digests[config] = prepared[source].sha256
        folders = [one.path for one in prepared.values()]
        keep_folders(self._home.logs, self._record.study, folders)
        for row in state.mine:
            config = arms[row.arm.name].recipe.data
            if not row.arm.commanded and (outcome := state.outcomes.get(row.trial)):
                check_images(config, outcome, digests[config])
        return digests

    @contextmanager
    def _opened(self, slots: Sequence[Slot]) -> Iterator[tuple[Execution, Tickets, Copy]]:
        """Workers, tickets and the copy; ended whatever happens.

        The copy has a thread, which imports MLflow. Optuna is opened and used before: both map
        their tables with SQLAlchemy, which sorts out all maps of a process when it first needs
        one, and fails where another thread adds to them meanwhile.
        """
        workers = self._doors.execution(slots, self._home.logs, lambda: self._stop.wanted)
        with ExitStack() as outlets, closing(workers) as running:
            queue = outlets.enter_context(closing(self._doors.queue()))
            outlets.enter_context(self._doors.owner(self._owner()))
            queue.reap()  # nobody else owns it: what runs there is a dead coordinator's
            copy = self._doors.copy()
            outlets.callback(lambda: copy.close(within=self._stop.patience))
            yield running, queue, copy

    def _owner(self) -> Owner:
        return Owner(
            home=self._home.root,
            take_over=self._options.take_over,
            say=self._watcher.say,
            stopping=lambda: self._stop.wanted,
            lost=self._lose,
        )

    def _lose(self, fault: EnvironmentFault) -> None:
        """Another coordinator took over: what runs writes its checkpoints, and ends."""
        self._stop.fault = fault

    def _feeder(self, queue: Tickets, device: str, choices: Choices) -> Feeder:
        fuse, say, away = self._options.fuse, self._watcher.say, self._doors.slots is not None
        never = device == "cpu" or self._options.per_gpu is not None  # filled either way
        alone = fuse == 1 or (fuse is None and (never or (away and unseen(device, say))))
        widths = None if alone else Widths(fuse, device, say, choices)
        arms = {arm.name: arm for arm in self._plan.arms}
        return Feeder(queue, arms, self._home.attempts, widths)

    def _ladder(self) -> Ladder:
        arms = {arm.name: arm for arm in self._plan.arms}
        return Ladder(self._home, arms, wanted=self._options.on_oom == "halve")

    def _begin(self, now: Due, slots: int) -> None:
        self._watcher.begin(self._plan, counted(now.state), slots)
        self._watcher.expect(*progress(now))

    def _say_stopping(self) -> None:
        self._watcher.say(
            f"stopping: {len(self._attempts)} trials write their checkpoints; "
            "Ctrl-C again kills them"
        )

    def _ended(self, state: State, copy: Copy | None) -> Summary:
        now = due(advanced(self._plan, state, self._home))
        outcomes = counted(now.state).values()
        counts: Counter[str] = Counter(found.status for found in outcomes)
        missing = len(now.state.mine) - counts.total()
        for line in said_first(now.state.plan, now.state.mine, now.state.outcomes):
            self._watcher.say(line)
        # 3 tells scripts "it ran to its end, and something failed" from a fault of ours (1).
        code = 0 if sum(map(ended_well, outcomes)) == len(now.state.mine) else 3
        if missing and self._stop.exit_code is not None:
            code = self._stop.exit_code
        return Summary(
            counts=counts,
            missing=missing,
            unmirrored=copy.missed if copy else 0,
            mirrored=copy is not None,
            unreachable=copy is not None and copy.gone,
            exit_code=code,
            spent=now.spent,
            settled=sum(settled(found, self._before.get(found.trial)) for found in outcomes),
        )


def counted(state: State) -> dict[str, Outcome]:
    """The recorded trials that the study has asked for; others stay unseen."""
    mine = [row.trial for row in state.mine]
    return {trial: state.outcomes[trial] for trial in mine if trial in state.outcomes}
