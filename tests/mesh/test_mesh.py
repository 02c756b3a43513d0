"""What holds of a whole mesh."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from soundsage.shared.messages import EqCurve, GenrePosterior, RenderMeter, ServiceState

SERVICES = {"bus", "capture", "features", "broker", "strategy", "renderer"}
Noise = tuple[Path, np.ndarray]


def recorded(file: Path) -> np.ndarray:
    """Return the samples of a recording, shape (n_samples, n_channels)."""
    samples, _ = soundfile.read(file, dtype="float32", always_2d=True)
    return np.asarray(samples)


def test_all_services_run_and_decide_and_nothing_is_left_behind(mesh: Any) -> None:
    """All services run and decide, and after `down` no process and no file of the mesh is left."""
    mesh.up("--source", "tone:noise", "--sink", "null", "--strategy", "flat")
    mesh.hear(EqCurve)
    status = mesh.status()
    assert status["state"] == "running"
    assert {each["name"] for each in status["services"]} == SERVICES
    assert all(each["state"] == "ready" and each["restarts"] == 0 and each["lost"] == 0 for each in status["services"])
    assert status["strategy"] == "flat"
    assert set(status["latency_ms"]) >= {"capture_to_curve", "capture_to_render", "hop_compute"}
    mesh.down()


def test_a_curve_follows_from_every_posterior_with_its_capture_time(mesh: Any) -> None:
    """A curve follows from every posterior, stamped with the same capture time."""
    mesh.up("--source", "tone:noise", "--sink", "null")
    mesh.hear(EqCurve)
    for _ in range(20):
        posterior = mesh.hear(GenrePosterior)
        curve = mesh.hear(EqCurve)
        assert curve.envelope.t_capture_ns == posterior.envelope.t_capture_ns
    mesh.down()


def test_a_file_is_rendered_to_its_end_bit_by_bit_and_the_mesh_ends(mesh: Any) -> None:
    """A file through the strategy `flat` is rendered to its end bit by bit, and `up` exits with 0."""
    samples = 0.1 * np.random.default_rng(440).standard_normal((100_003, 2)).astype(np.float32)
    soundfile.write(mesh.directory / "in.wav", samples, 44_100, subtype="FLOAT")
    done = mesh.command("up", "--source", "file:in.wav", "--sink", "file:out.wav", "--strategy", "flat", "--no-ui")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(recorded(mesh.directory / "out.wav"), samples)
    mesh.must_be_clean()


def test_duration_counts_from_the_first_rendered_block(mesh: Any, noise: Noise) -> None:
    """What a file sink holds after `--duration` is that long."""
    done = mesh.command("up", "--source", f"file:{noise[0]}", "--sink", "file:out.wav", "--duration", "3", "--no-ui")
    assert done.returncode == 0, done.stderr
    assert recorded(mesh.directory / "out.wav").shape[0] / 48_000 == pytest.approx(3.0, abs=0.5)
    mesh.must_be_clean()


@pytest.mark.parametrize("service", ["bus", "features", "broker", "strategy"])
def test_the_death_of_a_service_that_only_listens_costs_no_sample(mesh: Any, noise: Noise, service: str) -> None:
    """The death of a service that only listens costs no sample, and it is back by itself."""
    mesh.up("--source", f"file:{noise[0]}", "--sink", "file:out.wav", "--strategy", "flat")
    mesh.hear(RenderMeter)
    old_pid = mesh.kill(service)
    mesh.hear(ServiceState, lambda state: state.service == service and state.pid != old_pid and state.state == "ready")
    mesh.hear(EqCurve)
    restarts = {each["name"]: each["restarts"] for each in mesh.status()["services"]}
    assert restarts == {name: int(name == service) for name in SERVICES}
    mesh.down()
    out = recorded(mesh.directory / "out.wav")
    assert out.shape[0] > 48_000
    assert np.array_equal(out, noise[1][: out.shape[0]])


@pytest.mark.parametrize("service", ["capture", "renderer"])
def test_a_service_on_the_audio_path_is_back_by_itself(mesh: Any, service: str) -> None:
    """A killed service on the audio path is back by itself, and sound is rendered again."""
    mesh.up("--source", "tone", "--sink", "null")
    mesh.hear(RenderMeter)
    old_pid = mesh.kill(service)
    mesh.hear(ServiceState, lambda state: state.service == service and state.pid != old_pid and state.state == "ready")
    mesh.hear(RenderMeter)
    mesh.down()


def test_what_was_recorded_before_the_renderer_died_is_kept(mesh: Any, noise: Noise) -> None:
    """The recording of a killed renderer is kept beside the one of its successor, and holds what was rendered."""
    mesh.up("--source", f"file:{noise[0]}", "--sink", "file:out.wav", "--strategy", "flat")
    mesh.hear(RenderMeter, lambda meter: meter.rendered_samples > 48_000)
    old_pid = mesh.kill("renderer")
    mesh.hear(ServiceState, lambda state: state.service == "renderer" and state.pid != old_pid)
    mesh.hear(RenderMeter)
    mesh.down()
    before, after = recorded(mesh.directory / "out-1.wav"), recorded(mesh.directory / "out.wav")
    assert before.shape[0] > 24_000
    assert np.array_equal(before, noise[1][: before.shape[0]])
    assert after.shape[0] > 0


def test_what_is_set_survives_a_killed_service_and_the_next_up(mesh: Any) -> None:
    """Strategy, bypass and gain survive the death of their owners and the next `up`."""
    mesh.up("--source", "tone", "--sink", "null")
    for command in (("strategy", "set", "flat"), ("bypass", "on"), ("gain", "--", "-6")):
        done = mesh.command(*command)
        assert done.returncode == 0, done.stderr
    for service in ("strategy", "renderer"):
        old_pid = mesh.kill(service)
        mesh.hear(ServiceState, lambda state, s=service, p=old_pid: state.service == s and state.pid != p)
    kept = mesh.hear(RenderMeter, lambda meter: meter.bypass).message
    assert kept.gain_db == -6.0
    mesh.down()
    mesh.up("--source", "tone", "--sink", "null")
    status = mesh.status()
    assert status["strategy"] == "flat"
    again = mesh.hear(RenderMeter).message
    assert (again.bypass, again.gain_db) == (True, -6.0)
    mesh.down()


def test_strategies_are_switched_while_sound_goes_on(mesh: Any, noise: Noise) -> None:
    """Switching to a strategy that is installed costs no block."""
    mesh.up("--source", f"file:{noise[0]}", "--sink", "null", "--strategy", "genre-preset")
    mesh.hear(RenderMeter)
    for name in ("flat", "genre-preset", "flat"):
        assert mesh.command("strategy", "set", name).returncode == 0
        mesh.hear(EqCurve, lambda curve, n=name: curve.strategy == n)
    meter = mesh.hear(RenderMeter).message
    assert (meter.lost_blocks, meter.late_blocks) == (0, 0)
    mesh.down()


def test_a_second_mesh_is_refused(mesh: Any) -> None:
    """A second `up` says so in one line, exits with 1 and disturbs nothing."""
    mesh.up("--source", "tone", "--sink", "null")
    done = mesh.command("up", "--source", "tone", "--sink", "null", "--no-ui")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert mesh.status()["state"] == "running"
    mesh.down()


def test_a_signal_ends_up_with_exit_code_0(mesh: Any) -> None:
    """Ctrl-C on `up` stops everything and exits with 0."""
    process = mesh.start("up", "--source", "tone", "--sink", "null", "--no-ui")
    mesh.hear(RenderMeter)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=40)
    assert process.returncode == 0, errors
    mesh.must_be_clean()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--source", "file:missing.wav", "--sink", "null"),
        ("--source", "file:corrupt.wav", "--sink", "null"),
        ("--source", "device:no-such-device", "--sink", "null"),
        ("--source", "tone", "--sink", "device:no-such-device"),
        ("--source", "tone", "--sink", "file:no-such-folder/out.wav"),
        ("--source", "nonsense", "--sink", "null"),
        ("--source", "tone:loud", "--sink", "null"),
        ("--source", "file:sound.wav", "--sink", "file:sound.wav"),
        ("--source", "tone", "--sink", "file:out.wav", "--sink", "file:out.wav"),
        ("--source", "tone?colour=red", "--sink", "null"),
        ("--source", "tone", "--sink", "null", "--strategy", "no-such-strategy"),
        ("--config", "missing.toml"),
        ("--config", "corrupt.wav"),
        ("--set", "renderer.hold_s=-1"),
    ],
)
def test_a_wrong_input_is_one_line_exit_code_2_and_nothing_left(mesh: Any, arguments: tuple[str, ...]) -> None:
    """A wrong input gives one line without a traceback, exit code 2, and leaves nothing."""
    (mesh.directory / "corrupt.wav").write_bytes(b"RIFF\xff\xfe\x00 this is no sound")
    soundfile.write(mesh.directory / "sound.wav", np.zeros(1000), 48_000)
    done = mesh.command("up", "--no-ui", *arguments)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    mesh.must_be_clean()


def test_a_run_directory_with_a_path_too_long_is_refused(mesh: Any) -> None:
    """A run directory whose path is too long for a socket gives one line and exit code 1."""
    long = mesh.directory / ("x" * 100)
    long.mkdir()
    mesh.environment["XDG_RUNTIME_DIR"] = str(long)
    done = mesh.command("up", "--source", "tone", "--sink", "null", "--no-ui")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
