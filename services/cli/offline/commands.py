"""The commands `analyze` and `enhance`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from soundsage.services.cli.options import json_option, mesh_option
from soundsage.shared.audiofile import AudioFile, open_audio
from soundsage.shared.config import BrokerConfig, Config
from soundsage.shared.contracts import GenreModelRecord
from soundsage.shared.manifest import load_manifest
from soundsage.shared.messages import GenrePosterior
from soundsage.shared.plugins import installed_plugins

from .analysis import Analysis, Moment, Verdict, analysis_of
from .cores import Deciding, Hearing, Sounding, blocks_of
from .writing import NewSound

__all__ = ["analyze", "enhance"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@mesh_option
def analyze(file: Path, *, as_json: bool, config: Config) -> None:
    """Tell the genre of a sound file, second by second and as a whole."""
    with contextlib.closing(open_audio(file, config.capture.block_size)) as audio:
        counted = _Counted(audio)
        answers = list(counted.answers(Hearing(config, audio.sample_rate)))
    analysis = analysis_of(str(file), counted.duration_s, answers, _uncertain_below(config.broker))
    if as_json:
        click.echo(msgspec.json.encode(analysis))
    else:
        click.echo("\n".join(_lines(analysis)))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="Where the result goes."
)
@click.option("--strategy", metavar="NAME", help="An EQ strategy plugin; the configured one without.")
@mesh_option
def enhance(file: Path, *, output: Path, strategy: str | None, config: Config) -> None:
    """Equalise a sound file as the mesh would; rate and length stay, and the same file gives the same bytes."""
    if strategy is not None:
        config = msgspec.structs.replace(config, strategy=msgspec.structs.replace(config.strategy, name=strategy))
    block_size = config.capture.block_size
    with contextlib.closing(open_audio(file, block_size)) as audio:
        hearing, deciding = Hearing(config, audio.sample_rate), Deciding(config)
        sounding = Sounding(config.renderer, audio.sample_rate, audio.n_channels, block_size)
        with NewSound(output, audio) as sound:
            for block in blocks_of(audio):
                # A block sounds before the curve that follows from it, as in the mesh.
                sound.write(sounding.render(block.samples))
                for context in hearing.hear(block):
                    sounding.follow(deciding.curve(context))
            for samples in sounding.rest():
                sound.write(samples)


class _Counted:
    """A file whose length is known once it has been read."""

    def __init__(self, audio: AudioFile) -> None:
        self.duration_s = 0.0
        self._audio = audio

    def answers(self, hearing: Hearing) -> Iterator[GenrePosterior]:
        for block in blocks_of(self._audio):
            self.duration_s = (block.start + block.samples.shape[1]) / block.sample_rate
            yield from (context.posterior for context in hearing.hear(block))


def _uncertain_below(config: BrokerConfig) -> float:
    record = installed_plugins().find("genre_models", GenreModelRecord, config.genre_model)
    gate = load_manifest(record.manifest).gate
    return gate.uncertain_below if gate else 0.0


def _lines(analysis: Analysis) -> Iterator[str]:
    """Yield a line for each stretch of the same verdict, and one for the whole."""
    for word, stretch in itertools.groupby(analysis.timeline, key=_word):
        moments = list(stretch)
        yield f"{_clock(moments[0].time_s)} to {_clock(moments[-1].time_s)}  {word}{_sureness(moments)}"
    yield f"{analysis.file}, {_clock(analysis.duration_s)}: {_word(analysis.summary)}{_sureness([analysis.summary])}"


def _word(verdict: Verdict | Moment) -> str:
    return verdict.genre or verdict.state.replace("_", " ")


def _sureness(verdicts: list[Moment] | list[Verdict]) -> str:
    if verdicts[0].genre is None:
        return ""
    return f", {sum(verdict.confidence for verdict in verdicts) / len(verdicts):.0%}"


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    return f"{minutes}:{seconds:02}"
