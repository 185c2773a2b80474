"""This workspace's settings, autoresearch.toml: one typed model with its defaults."""

from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec

from engine.errors import UnusableWorkspace
from engine.workspace import SETTINGS, Workspace

Positive = Annotated[float, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
"""At most some thirty years: a timer takes no infinity."""
Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class RunSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a training run is started and bounded."""

    python: Literal["engine", "uv"] = "engine"
    """Which Python runs train.py: the engine's own, or the workspace's environment through ``uv run``."""
    limit_seconds: Seconds = 600.0
    """A run over this is ended and counts as a crash."""
    grace_seconds: Seconds = 10.0
    """From SIGTERM to SIGKILL."""
    environment: list[str] = []
    """Names of more environment variables that the training process may see."""


class PolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The judge's thresholds (DESIGN §7), in the metric's unit where not said otherwise."""

    equal_within: Annotated[float, msgspec.Meta(ge=0)] = 1e-6
    """Two metrics closer than this are equal."""
    small_gain: Annotated[float, msgspec.Meta(ge=0)] = 0.001
    many_lines: Count = 20
    """A gain under ``small_gain`` that adds this many lines of code is not worth them."""
    memory_factor: Positive = 2.0
    small_gain_share: Share = 0.01
    """A gain under this share of the metric does not pay for ``memory_factor`` times the memory."""
    thrash_after: Annotated[int, msgspec.Meta(ge=1)] = 3
    """So many experiments in a row without a keep call for a different approach."""
    confirm: bool = False
    """Run a candidate once more, with another seed, while its gain is within the noise floor; before it is kept."""
    baseline_repeats: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    """So many runs of the baseline, with other seeds, before a night: they measure the noise floor."""


class SearchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The search over train.py's knobs."""

    sampler: Literal["tpe", "cmaes", "random"] = "tpe"
    seed: int = 0
    frozen: list[str] = []
    """Knobs that the search leaves alone."""


class AgentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent that speaks the Agent Client Protocol."""

    command: list[str] = []
    """What starts it, such as ["opencode", "acp"]."""
    environment: list[str] = []
    """Names of the environment variables that it may see besides HOME, PATH, the locale and XDG's: its API key."""
    mode: str = ""
    """One of the session modes that the agent offers; empty for its own default."""
    limit_seconds: Seconds = 900.0
    """A proposal over this is cancelled."""
    grace_seconds: Seconds = 5.0
    """From the cancellation to SIGTERM, and from SIGTERM to SIGKILL."""
    session_share: Share = 0.7
    """From this share of its context on, where the agent reports it, the next proposal gets a new session."""
    session_bytes: Count = 1_000_000
    """From so many bytes said and read on, where the agent reports nothing, the same."""
    session_turns: Annotated[int, msgspec.Meta(ge=1)] = 20
    """After so many proposals, the same."""


class CommandSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program that edits train.py in the directory where it is started, and ends."""

    preset: str = ""
    """One of engine.proposers.presets, for a common agent's command line."""
    command: list[str] = []
    """The command line in full, where no preset is wanted. {prompt} stands for what is to be done in one sentence,
    {context} for the file that says it all, which is on standard input too."""
    arguments: list[str] = []
    """More arguments at the end of it, such as a model's."""
    environment: list[str] = []
    """Names of the environment variables that it may see besides HOME, PATH, the locale and XDG's: its API key."""
    limit_seconds: Seconds = 900.0
    """A proposal over this is ended."""
    grace_seconds: Seconds = 5.0
    """From SIGTERM to SIGKILL."""


class BriefingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What models are told before they propose."""

    tokens: Annotated[int, msgspec.Meta(ge=4000, le=10_000_000)] = 32_000
    """The most that it may take, at three bytes a token; train.py and the rules are some 8,000 of them."""


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any endpoint that speaks OpenAI's chat completions, a local one included."""

    base_url: str = "https://api.openai.com/v1"
    model: str = ""
    """As the endpoint calls it."""
    key: str = "OPENAI_API_KEY"
    """The name of the environment variable that holds the key; empty for an endpoint that wants none."""
    stream: bool = True
    timeout_seconds: Seconds = 600.0
    """For one answer."""
    patience_seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 1800.0
    """How long rate limits are waited out for one answer, in all, before the proposal is given up."""
    options: dict[str, bool | int | float | str | list[Any] | dict[str, Any]] = {}
    """More of the request, sent as it is: temperature, max_tokens, reasoning_effort, …"""


class HybridSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The search with a language model that sees its state (the search itself is set up in ``[search]``)."""

    proposer: Literal["agent", "command", "chat"] = "chat"
    """Who has the turns that the search has not."""
    share: Share = 0.3
    """Of the turns."""
    seed: int = 0
    """Of which turns they are."""


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a session may take; None: no limit."""

    experiments: Count | None = None
    """After the baseline; then the session is over."""
    hours: Positive | None = None
    """Of an engine; then it ends after the experiment that is under way."""
    tokens: Count | None = None
    """Read and written by models in the whole session; then the search goes on alone."""
    dollars: Amount | None = None
    """The same."""


class PriceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a million tokens costs in dollars. Without prices no cost is known but what an agent or endpoint says."""

    tokens_in: Amount | None = None
    """That a model reads."""
    tokens_out: Amount | None = None
    """That it writes, thoughts included."""


class NotifySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages to a person who is away."""

    on: list[Literal["incumbent", "stop", "stall"]] = []
    """What they are sent for; nothing: none are."""
    urls: str = "APPRISE_URLS"
    """The name of the environment variable that says where to, for the URLs are secrets; where it is not set, the
    file notify of the person's configuration does."""
    stall_minutes: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 30.0
    """So long nothing must happen for it to be a stall."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of autoresearch.toml."""

    name: str = "Optimize val_bpb"
    proposer: Literal["search", "agent", "command", "chat", "hybrid"] = "search"
    """What chooses the next change."""
    budget: BudgetSettings = BudgetSettings()
    prices: PriceSettings = PriceSettings()
    run: RunSettings = RunSettings()
    policy: PolicySettings = PolicySettings()
    search: SearchSettings = SearchSettings()
    agent: AgentSettings = AgentSettings()
    command: CommandSettings = CommandSettings()
    briefing: BriefingSettings = BriefingSettings()
    chat: ChatSettings = ChatSettings()
    hybrid: HybridSettings = HybridSettings()
    notify: NotifySettings = NotifySettings()


PROPOSERS = get_args(get_type_hints(Settings)["proposer"])


def load(workspace: Workspace) -> Settings:
    """The workspace's settings; the defaults where it has no file. Raises UnusableWorkspace."""
    try:
        return msgspec.toml.decode(workspace.settings.read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnusableWorkspace(f"{SETTINGS} is not usable: {error}.") from error


def with_proposer(settings: Settings, name: str) -> Settings:
    """The settings with another proposer; as they are where it has no name. Raises UnusableWorkspace."""
    if not name:
        return settings
    if name not in PROPOSERS:
        raise UnusableWorkspace(f"there is no proposer {name}: it is one of {', '.join(PROPOSERS)}.")
    return msgspec.structs.replace(settings, proposer=name)
