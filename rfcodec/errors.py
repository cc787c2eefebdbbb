"""One exception class per way to fail; every message names the value, what is legal and what to do."""

LONGEST_LINE = 2000  # characters of a message, which may quote a file


def printable(text: str, most: int = 200) -> str:
    """`text` in one line of at most `most` characters that a terminal shows as they are, for text that a file holds.

    Control characters, line ends, zero-width ones and those that change the direction of writing become escapes such as
    \\x1b. What is cut off is counted at the end.
    """
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[: most + 1])
    if len(shown) <= most and len(text) <= most:
        return shown
    ending = f"... ({len(text)} characters)"
    return shown[: max(most - len(ending), 0)] + ending[:most]


class RfcodecError(Exception):
    """Base of every error that rfcodec raises on purpose; its lines are printable, whatever the file that they quote holds."""

    def __init__(self, *lines: object) -> None:
        super().__init__(*(printable(str(line), LONGEST_LINE) for line in lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


class ConfigError(RfcodecError):
    """A setting has a value that is not legal."""


class UnknownPlugin(ConfigError):
    """No plugin of that name or id is installed."""


class ShadowedPackage(ConfigError):
    """A foreign package hides our `conditioning` or `codebooks`."""


class UnsupportedCondition(ConfigError):
    """The backbone cannot take a condition that it was given."""


class BudgetTooSmall(ConfigError):
    """The bit budget does not cover what the mode must send; the message names the smallest that does."""


class InputError(RfcodecError):
    """The video handed in cannot be used."""


class VideoReadError(InputError):
    """A video file is missing, unreadable or of an unknown kind."""


class FrameRangeError(InputError):
    """The frames asked for do not exist."""


class FrameSizeError(InputError):
    """A frame has a size that cannot be used here."""


class OutputError(RfcodecError):
    """The result cannot be written (disk full, no permission, unknown kind of file)."""


class WorkerError(RfcodecError):
    """A task failed on its worker, again and again."""


class AnchorError(RfcodecError):
    """An encoder to compare with failed."""


class BackboneError(RfcodecError):
    """A backbone cannot be opened or used."""


class MissingWeights(BackboneError):
    """Weights that are needed are not on this machine."""


class BackboneMismatch(BackboneError):
    """The stream was made with another backbone or other weights."""


class BitstreamError(RfcodecError):
    """The bytes are not a valid stream."""


class NotAStream(BitstreamError):
    """The file does not begin with the signature."""


class UnsupportedVersion(BitstreamError):
    """The stream was written in a version that this decoder does not know."""


class UnsupportedFeature(BitstreamError):
    """The stream holds something that must be understood and that this decoder does not know."""


class TruncatedStream(BitstreamError):
    """The stream ends too early."""


class CorruptRecord(BitstreamError):
    """A record's checksum does not fit its bytes."""


class InvalidField(BitstreamError):
    """A field holds a value outside its legal range."""


class ArithmeticWarning(UserWarning):
    """The decoder computes with another arithmetic than the encoder did."""


class DamageWarning(UserWarning):
    """A part of a damaged stream was left out or decoded from doubtful bytes."""
