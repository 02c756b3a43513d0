"""The commands analyze and enhance on real files, with the models that are shipped."""

from __future__ import annotations

import json
import time
from importlib.metadata import entry_points
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from soundsage.services.cli.offline import analyze, cores, enhance
from soundsage.services.renderer import chain
from soundsage.shared.config import RendererConfig
from soundsage.shared.contracts import Chain, ChainStep, Decision, EffectRecord, StrategyContext, StrategyRecord
from soundsage.shared.dsp import EqBand
from soundsage.shared.errors import InputError, PluginError
from soundsage.shared.hookspecs import hookimpl
from soundsage.shared.plugins import ENTRY_POINT_GROUP, Plugins

SAMPLE_RATE = 44_100
N_SAMPLES = 8 * SAMPLE_RATE + 7
STATES = {"genre", "uncertain", "speech", "not_music", "silence", "no_signal"}


def music(n_samples: int = N_SAMPLES) -> np.ndarray:
    """Return chords with a beat, shape (2, n_samples): something with pitch, onsets and a spectrum that falls."""
    generator = np.random.default_rng(440)
    time_s = np.arange(n_samples) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * 110 * n * time_s) / n for n in (1, 2, 3, 4, 5, 6))
    beat = generator.standard_normal((2, n_samples)) * np.exp(-20 * (time_s % 0.5))
    return (0.05 * chord + 0.1 * beat).astype(np.float32)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Return a stereo file of 16-bit samples."""
    file = tmp_path / "song.flac"
    soundfile.write(file, music().T, SAMPLE_RATE, subtype="PCM_16")
    return file


def run(command: click.Command, *arguments: object) -> str:
    """Return what a command prints."""
    result = CliRunner().invoke(command, list(map(str, arguments)))
    if result.exception:
        raise result.exception
    return result.output


def test_an_analysis_has_the_fields_that_other_programs_read(song: Path) -> None:
    """JSON: file, duration, a timeline with a moment each second, and a summary."""
    analysis = json.loads(run(analyze, song, "--json"))

    assert list(analysis) == ["file", "duration_s", "timeline", "summary"]
    assert (analysis["file"], analysis["duration_s"]) == (str(song), N_SAMPLES / SAMPLE_RATE)
    times_s = np.array([moment["time_s"] for moment in analysis["timeline"]])
    assert (times_s - times_s[0]).astype(int).tolist() == list(range(len(times_s)))
    assert times_s[-1] > N_SAMPLES / SAMPLE_RATE - 1.1
    assert {tuple(moment) for moment in analysis["timeline"]} == {
        ("time_s", "state", "genre", "confidence", "posterior")
    }
    for verdict in (*analysis["timeline"], analysis["summary"]):
        assert verdict["state"] in STATES
        assert (verdict["genre"] is not None) == (verdict["state"] == "genre")
        assert sum(verdict["posterior"].values()) == pytest.approx(1.0)
        assert verdict["confidence"] == max(verdict["posterior"].values())


def test_an_analysis_is_the_same_each_time_whatever_the_block_size(song: Path, tmp_path: Path) -> None:
    """The same file gives the same text, and how it is cut does not matter."""
    config = tmp_path / "soundsage.toml"
    config.write_text("[capture]\nblock_size = 1000\n", encoding="utf-8")

    first = run(analyze, song, "--json")

    assert first == run(analyze, song, "--json") == run(analyze, song, "--json", "--config", config)


def test_people_get_a_line_for_each_stretch_and_one_for_the_whole(song: Path) -> None:
    """Without --json the last line is the summary, and each other one a stretch of time."""
    *stretches, summary = run(analyze, song).splitlines()

    assert summary.startswith(f"{song}, 0:08: ")
    assert all(" to 0:0" in line for line in stretches)


def test_silence_is_silence(tmp_path: Path) -> None:
    """A file of zeros names no genre."""
    soundfile.write(tmp_path / "a.wav", np.zeros((5 * SAMPLE_RATE, 2)), SAMPLE_RATE)

    assert json.loads(run(analyze, tmp_path / "a.wav", "--json"))["summary"]["state"] == "silence"


def test_flat_changes_no_bit(song: Path, tmp_path: Path) -> None:
    """With the strategy `flat` every sample stays as it was."""
    output = tmp_path / "out.flac"

    run(enhance, song, "-o", output, "--strategy", "flat")

    assert soundfile.info(output).subtype == "PCM_16"
    before, after = (soundfile.read(file, dtype="int16")[0] for file in (song, output))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("strategy", ["genre-preset", "proposal"])
def test_the_same_file_gives_the_same_bytes_in_less_than_its_time(song: Path, tmp_path: Path, strategy: str) -> None:
    """Length and rate are kept, two runs differ in nothing, and neither takes as long as the sound lasts."""
    outputs = [tmp_path / f"{n}.wav" for n in range(2)]
    run(enhance, song, "-o", outputs[0], "--strategy", strategy)
    begin_s = time.monotonic()
    run(enhance, song, "-o", outputs[1], "--strategy", strategy)
    took_s = time.monotonic() - begin_s

    info = soundfile.info(outputs[0])
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert (info.frames, info.samplerate, info.channels) == (N_SAMPLES, SAMPLE_RATE, 2)
    assert took_s < N_SAMPLES / SAMPLE_RATE


class Bold:
    """A strategy that wants 6 dB at 1 kHz from the first window on; its curve gets there by 0.5 dB a second."""

    def decide(self, context: StrategyContext) -> Decision:
        """Return them."""
        del context
        return Decision((EqBand("peaking", 1000.0, 6.0, 2.0),), "bold")

    @staticmethod
    @hookimpl
    def soundsage_eq_strategies() -> list[StrategyRecord]:
        """Return it."""
        return [StrategyRecord(name="bold", summary="bold", make=Bold)]


def test_the_curve_of_the_strategy_is_in_the_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a boost does not touch goes down by its headroom, as slowly as the limit on speed says."""
    plugins = Plugins(tuple(entry_points(group=ENTRY_POINT_GROUP)))
    plugins._manager.register(Bold(), "bold")
    monkeypatch.setattr(cores, "installed_plugins", lambda: plugins)
    time_s = np.arange(N_SAMPLES) / SAMPLE_RATE
    low, middle = (0.1 * np.sin(2 * np.pi * frequency_hz * time_s) for frequency_hz in (50.0, 1000.0))
    soundfile.write(tmp_path / "in.wav", low + middle, SAMPLE_RATE, subtype="FLOAT")

    run(enhance, tmp_path / "in.wav", "-o", tmp_path / "out.wav", "--strategy", "bold")

    end = slice(-SAMPLE_RATE // 2, None)
    after, _ = soundfile.read(tmp_path / "out.wav")
    gains_db = [20 * np.log10(after[end] @ tone[end] / (tone[end] @ tone[end])) for tone in (low, middle)]
    # From the first window at 3 s to the middle of the last half second.
    assert gains_db == pytest.approx([-0.5 * (7.75 - 3.0), 0.0], abs=0.15)


class Late:
    """An effect that holds everything back for 100 samples."""

    def __init__(self, _sample_rate: int, n_channels: int, _max_block: int) -> None:
        self.held = np.zeros((n_channels, 100), np.float32)

    def process(self, samples: np.ndarray) -> None:
        """Delay a block."""
        both = np.concatenate((self.held, samples), axis=1)
        samples[:] = both[:, : samples.shape[1]]
        self.held = both[:, samples.shape[1] :]

    def set_params(self, **_params: float) -> None:
        """Take none."""

    def latency(self) -> int:
        """Return 100 samples."""
        return self.held.shape[1]

    def reset(self) -> None:
        """Forget."""


class Failing(Late):
    """An effect that raises."""

    def process(self, samples: np.ndarray) -> None:
        """Raise."""
        raise OverflowError(f"{samples.shape}")


class Registered:
    """Both effects as plugins, each in a chain of its own."""

    @hookimpl
    def soundsage_effects(self) -> list[EffectRecord]:
        """Return them."""
        return [EffectRecord(name=effect.__name__.lower(), summary="a", prepare=effect) for effect in (Late, Failing)]

    @hookimpl
    def soundsage_effect_chains(self) -> list[Chain]:
        """Return the chains."""
        return [Chain(name=name, summary="a", steps=(ChainStep(name, {}),)) for name in ("late", "failing")]


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install both effects and nothing else."""
    plugins = Plugins(())
    plugins._manager.register(Registered(), "effects")
    monkeypatch.setattr(chain, "installed_plugins", lambda: plugins)


@pytest.mark.usefixtures("effects")
@pytest.mark.parametrize("n_samples", [1, 50, 100, 256, 1000])
def test_latency_is_taken_out_and_nothing_is_lost(n_samples: int) -> None:
    """An effect that only delays changes nothing, however short the file."""
    samples = music(n_samples)
    sounding = cores.Sounding(RendererConfig(chain="late"), SAMPLE_RATE, 2, 256)

    rendered = [sounding.render(block).copy() for block in np.split(samples, range(256, n_samples, 256), axis=1)]
    rendered += [rest.copy() for rest in sounding.rest()]

    assert np.array_equal(np.concatenate(rendered, axis=1), samples)


@pytest.mark.usefixtures("effects")
def test_an_effect_that_fails_ends_it() -> None:
    """Where the mesh goes on without an effect, a file would silently lack it."""
    sounding = cores.Sounding(RendererConfig(chain="failing"), SAMPLE_RATE, 2, 256)

    with pytest.raises(PluginError, match="effect failing raised OverflowError"):
        sounding.render(music(256))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "does not exist"), (b"", "is empty"), (b"no sound at all" * 100, "cannot be decoded")],
)
def test_what_is_no_sound_is_refused_and_leaves_nothing(content: bytes | None, reason: str, tmp_path: Path) -> None:
    """A missing, empty or strange file is the user's mistake for both commands."""
    file = tmp_path / "in.wav"
    if content is not None:
        file.write_bytes(content)

    for command, *arguments in ((analyze, file), (enhance, file, "-o", tmp_path / "out.wav")):
        with pytest.raises(InputError, match=reason):
            run(command, *arguments)

    assert {each.name for each in tmp_path.iterdir()} <= {"in.wav"}


def test_a_file_that_breaks_off_is_refused_and_leaves_nothing(song: Path, tmp_path: Path) -> None:
    """Damage in the middle is found on the way, and no half of an output stays."""
    content = bytearray(song.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 5000] = bytes(5000)
    song.write_bytes(content)

    with pytest.raises(InputError, match="is damaged"):
        run(enhance, song, "-o", tmp_path / "out.wav")

    assert [file.name for file in tmp_path.iterdir()] == [song.name]


def test_a_strategy_that_does_not_exist_is_refused(song: Path, tmp_path: Path) -> None:
    """An unknown name is the user's mistake, with a hint, before anything is written."""
    with pytest.raises(InputError, match="did you mean genre-preset"):
        run(enhance, song, "-o", tmp_path / "out.wav", "--strategy", "genre-prset")

    assert [file.name for file in tmp_path.iterdir()] == [song.name]


def test_a_rate_too_low_to_be_measured_is_refused(tmp_path: Path) -> None:
    """What the feature extractor cannot hear is the user's mistake, not a crash."""
    soundfile.write(tmp_path / "a.wav", np.zeros(20_000), 4_000)

    with pytest.raises(InputError, match="sample_rate must be at least 8000 Hz"):
        run(analyze, tmp_path / "a.wav")
