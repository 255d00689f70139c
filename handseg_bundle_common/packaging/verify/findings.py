"""What a verification finds, and how it is told: sentences for people, plain values for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Check(StrEnum):
    """What is looked at, in this order."""

    ARCHIVE = "archive"
    FILES = "files"
    CHECKSUMS = "checksums"
    CODE = "code"
    SCAN = "configurations"
    WEIGHTS = "weights"
    LICENCE = "licence"
    METADATA = "metadata"
    CLASSES = "class names"
    IDS = "required ids"
    NETWORK = "network"


class Severity(StrEnum):
    """How much a finding matters: an error refuses the bundle."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


TRUSTABLE = frozenset({Check.CODE, Check.SCAN})
"""Checks whose errors somebody can pass who knows where the bundle is from."""

SAFETY = frozenset({Check.ARCHIVE, Check.FILES, Check.CHECKSUMS, Check.CODE, Check.SCAN, Check.WEIGHTS})
"""Checks whose errors say that a bundle could do harm or is not the one that was sent."""

CLEAN, UNSAFE, INCOMPLETE, NETWORK_FAILS = 0, 3, 4, 5


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: what was looked at.
        severity: how much it matters.
        file: path in the bundle or name in the archive; empty for the bundle as a whole.
        place: JSON pointer (RFC 6901) or line within the file; empty for the file as a whole.
        problem: what is wrong, without a full stop.
        remedy: what can be done about it, without a full stop.
    """

    check: Check
    severity: Severity
    file: str
    place: str
    problem: str
    remedy: str

    @property
    def sentence(self) -> str:
        """File, place, problem and remedy as one sentence."""
        return f"{self.where or 'the bundle'}: {one_line(self.problem)}; {one_line(self.remedy)}."

    @property
    def where(self) -> str:
        """File and place; empty for the bundle as a whole."""
        return one_line(" at ".join(filter(None, (self.file, self.place))))


def one_line(text: str) -> str:
    """Return text from elsewhere without what would steer a terminal."""
    visible = (sign if sign.isprintable() else " " if sign.isspace() else repr(sign)[1:-1] for sign in text)
    return " ".join("".join(visible).split())


def error(check: Check, file: str, problem: str, remedy: str, place: str = "") -> Finding:
    """Return a finding that refuses the bundle."""
    return Finding(check, Severity.ERROR, file, place, problem, remedy)


def warning(check: Check, file: str, problem: str, remedy: str, place: str = "") -> Finding:
    """Return a finding that does not refuse the bundle."""
    return Finding(check, Severity.WARNING, file, place, problem, remedy)


def note(check: Check, file: str, problem: str, remedy: str) -> Finding:
    """Return a finding that its reader may want to know."""
    return Finding(check, Severity.NOTE, file, "", problem, remedy)


@dataclass(frozen=True)
class Verification:
    """What was looked at in a bundle and what was found.

    Attributes:
        path: the folder or archive.
        done: the checks that were made; one that needs an earlier one to be clean is left out after an error there.
        findings: everything that was found.
        trust: whether errors of `TRUSTABLE` checks are passed.
        folder: the bundle's folder; of an archive where it was unpacked, None if that was refused.
    """

    path: str
    done: tuple[Check, ...]
    findings: tuple[Finding, ...]
    trust: bool = False
    folder: str | None = None

    @property
    def refused(self) -> list[Finding]:
        """The errors that are not passed by trust."""
        return [one for one in self.findings if one.severity is Severity.ERROR and one not in self.passed]

    @property
    def passed(self) -> list[Finding]:
        """The errors that are passed by trust."""
        errors = [one for one in self.findings if one.severity is Severity.ERROR]
        return [one for one in errors if self.trust and one.check in TRUSTABLE]

    @property
    def exit_code(self) -> int:
        """0 clean, 3 not safe to run, 4 safe but incomplete, 5 the network is not what the metadata says."""
        checks = {finding.check for finding in self.refused}
        if checks & SAFETY:
            return UNSAFE
        if checks - {Check.NETWORK}:
            return INCOMPLETE
        return NETWORK_FAILS if checks else CLEAN

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        found = [{**asdict(finding), "sentence": finding.sentence} for finding in self.findings]
        return {
            "path": self.path,
            "folder": self.folder,
            "exit_code": self.exit_code,
            "trusted": self.trust,
            "checks": list(self.done),
            "findings": found,
        }

    def text(self) -> str:
        """Return a short report: a line a check, the sentences of its findings, and the outcome."""
        lines = [line for check in Check for line in self._lines(check)]
        if self.passed:
            lines += ["", f"TRUSTED: {_count(self.passed)} passed over. Running this bundle can run code of its own."]
        return "\n".join([str(self.path), *lines, "", self._outcome()])

    def _lines(self, check: Check) -> list[str]:
        own = [finding for finding in self.findings if finding.check is check]
        if not own:
            if check is Check.ARCHIVE and check not in self.done:
                return []  # a folder
            return [f"  {check:<14} {'ok' if check in self.done else 'not looked at'}"]
        return [f"  {check:<14} {_count(own)}", *(f"    {one.severity}: {one.sentence}" for one in own)]

    def _outcome(self) -> str:
        reasons = {
            CLEAN: f"Clean: {self.folder}",
            UNSAFE: "Refused: do not run it.",
            INCOMPLETE: "Refused: it is not complete.",
            NETWORK_FAILS: "Refused: its network does not do what its metadata says.",
        }
        return reasons[self.exit_code]


def _count(findings: list[Finding]) -> str:
    """Count findings by severity."""
    kinds = [finding.severity for finding in findings]
    return ", ".join(f"{kinds.count(kind)} {kind}{'s' * (kinds.count(kind) > 1)}" for kind in Severity if kind in kinds)
