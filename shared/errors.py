"""Everything that can go wrong for a reason the user can do something about.

A programmer's mistake stays a `ValueError` or `TypeError`. The text of each error is one line: what, where, what to do.
"""

from __future__ import annotations

from typing import ClassVar


class SoundSageError(Exception):
    """The root of all errors that are reported to the user as one line.

    Attributes
    ----------
    exit_code : int
        What the command line exits with: 2 for wrong arguments or inputs, 1 for a failure at run time.
    """

    exit_code: ClassVar[int] = 1


class ConfigError(SoundSageError):
    """A configuration file or a command-line setting that cannot be used."""

    exit_code: ClassVar[int] = 2


class InputError(SoundSageError):
    """An argument or an input file that cannot be used."""

    exit_code: ClassVar[int] = 2


class WireError(SoundSageError):
    """Bytes from a peer that are no message of ours."""


class RequestError(SoundSageError):
    """A request that its server refused, or did not answer before the deadline."""


class PluginError(SoundSageError):
    """A plugin that is missing, raised, overran its deadline or answered nonsense."""


class DeviceError(SoundSageError):
    """A device that is not there now; it is opened again until it is back."""


class EndOfStream(SoundSageError):  # noqa: N818  it is no failure
    """A source has no more samples; the way a source says that it is over, not a failure."""


class MediaError(SoundSageError):
    """A file that can no longer be read or written; trying again would not help."""


class ModelError(SoundSageError):
    """A model that cannot be loaded, or that answered with the wrong shape or non-finite numbers."""


class MeshError(SoundSageError):
    """The mesh cannot start, is running already, or is not running."""
