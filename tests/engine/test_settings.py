"""autoresearch.toml: defaults where it says nothing, one sentence where it is wrong."""

from string import Template

import pytest

from engine.errors import UnusableWorkspace
from engine.initialize import TEMPLATE, Choice, Profile
from engine.settings import PolicySettings, RunSettings, SearchSettings, Settings, load, with_proposer
from engine.workspace import SETTINGS, Workspace


def loaded(workspace: Workspace, text: str | bytes) -> Settings:
    workspace.settings.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(workspace)


def test_a_workspace_without_settings_has_the_designs_defaults(workspace: Workspace) -> None:
    assert load(workspace) == Settings(
        name="Optimize val_bpb",
        proposer="search",
        run=RunSettings(python="engine", limit_seconds=600, grace_seconds=10, environment=[]),
        policy=PolicySettings(
            equal_within=1e-6, small_gain=0.001, many_lines=20, memory_factor=2, small_gain_share=0.01, thrash_after=3
        ),
        search=SearchSettings(sampler="tpe", seed=0, frozen=[]),
    )


def test_what_a_person_sets_counts_and_the_rest_stays(workspace: Workspace) -> None:
    settings = loaded(workspace, '[run]\nlimit_seconds = 60\n[search]\nfrozen = ["DEPTH"]\n')
    assert settings.run == RunSettings(limit_seconds=60)
    assert settings.search == SearchSettings(frozen=["DEPTH"])
    assert settings.policy == PolicySettings()


@pytest.mark.parametrize(
    "text",
    [
        "[run\n",
        "name = ",
        "name = 7",
        "nmae = 'x'",
        "[rnu]\nlimit_seconds = 1",
        "[run]\nlimit = 1",
        "[run]\nlimit_seconds = 0",
        "[run]\nlimit_seconds = -1",
        "[run]\nlimit_seconds = inf",
        "[run]\nlimit_seconds = nan",
        "[run]\ngrace_seconds = inf",
        "[run]\nlimit_seconds = '10 minutes'",
        "[run]\npython = 'conda'",
        "[run]\nenvironment = 'A'",
        "[policy]\nmany_lines = -1",
        "[policy]\nsmall_gain_share = 1.5",
        "[policy]\nthrash_after = 0",
        "[search]\nsampler = 'grid'",
        "[search]\nseed = 0.5",
        "proposer = 'oracle'",
        "[hybrid]\nproposer = 'search'",
        "[hybrid]\nshare = 1.1",
        "[budget]\nhours = 0",
        "[budget]\ntokens = -1",
        "[budget]\ndollars = 'a few'",
        "[prices]\ntokens_in = -3",
        "[agent]\ncommand = 'opencode acp'",
        b"name = '\xff'",
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_file(workspace: Workspace, text: str | bytes) -> None:
    with pytest.raises(UnusableWorkspace) as refused:
        loaded(workspace, text)
    sentence = str(refused.value)
    assert SETTINGS in sentence
    assert "\n" not in sentence
    assert refused.value.exit_code == 2


def test_a_mistake_is_named_with_its_place(workspace: Workspace) -> None:
    with pytest.raises(UnusableWorkspace, match=r"limit_seconds"):
        loaded(workspace, "[run]\nlimit_seconds = 'x'")


def test_another_proposer_can_be_named_for_an_engine() -> None:
    assert with_proposer(Settings(), "hybrid") == Settings(proposer="hybrid")
    assert with_proposer(Settings(proposer="chat"), "") == Settings(proposer="chat")
    with pytest.raises(UnusableWorkspace, match="one of search, agent, command, chat, hybrid"):
        with_proposer(Settings(), "oracle")


@pytest.mark.parametrize("name", ["gpu", "demo"])
def test_the_template_is_valid_and_says_the_defaults(workspace: Workspace, name: str) -> None:
    profile = Profile.load(name)
    facts = Choice().facts | {"python": profile.python, "limit": "600", "frozen": "[]", "repeats": "1"}
    text = Template((TEMPLATE / SETTINGS).read_text("utf-8")).substitute(facts)
    assert loaded(workspace, text) == Settings(run=RunSettings(python=profile.python))  # type: ignore[arg-type]
