"""What the names of folders and files say about the pictures in them: high or low resolution, and which scale."""

import re
from dataclasses import dataclass

SCALE = r"(?:x(?P<scale>[2-9])|(?P<times>[2-9])x)"
HIGH = re.compile(r"(?:hr|gt|hq)(?:mod(?P<mod>\d+))?" + SCALE + "?|groundtruth|highres(?:olution)?")
LOW = re.compile(
    r"(?:lr|lq)(?P<how>bicubic|bic|bi|bd|dn|noise|blur|unknown|mild|wild|difficult)?" + SCALE + "?|lowres(?:olution)?"
)
# These mean something only beside their counterpart: photographs, too, are called so.
MAYBE_HIGH = re.compile(r"originals?|orig|targets?|high|references?")
MAYBE_LOW = re.compile(r"inputs?|low|lr[2-9]|downs(?:caled|ampled?)|(?P<how>bicubic|bic|bi)" + SCALE + "?")
DEGRADATION = re.compile(r"bicubic|bic|bi|bd|dn|noise|blur|unknown|mild|wild|difficult")
BICUBIC = {"bicubic", "bic", "bi"}
HALVES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}

_ROLE = "HR|GT|HQ|(?:LR|LQ)(?:BICUBIC|BIC|BI|BD|DN)?"
STEM = re.compile(
    r"(?P<rest>.+?)"
    r"(?:[ ._-]SRF[ ._-](?P<srf>[2-9]))?(?:(?P<gap>[ ._-])?x(?P<before>[2-9]))?"
    rf"(?:[ ._-](?P<role>{_ROLE}))?(?:(?P<gap2>[ ._-])?x(?P<after>[2-9]))?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class FolderName:
    """The meaning of a folder's name.

    Parameters
    ----------
    role : {"HR", "LR", None}
    strong : bool
        Whether the name is clear by itself, such as ``GTmod12``, or counts only beside its counterpart, such as
        ``low``.
    scale : int or None
    bare : bool
        Whether it says nothing but a scale, as ``X4``.
    mod : int or None
        By what the sides of ``GTmod12`` can be divided.
    how : {"bicubic", "other", None}
        How the pictures were made small.
    rest : tuple of str
        The other words, in lower case, by which ``train_HR`` finds ``train_LR_bicubic``.
    """

    role: str | None = None
    strong: bool = False
    scale: int | None = None
    bare: bool = False
    mod: int | None = None
    how: str | None = None
    rest: tuple[str, ...] = ()

    @property
    def half(self) -> str | None:
        """``train``, ``valid`` or ``test``, where the name has one of these words beside its role."""
        return next((HALVES[word] for word in self.rest if word in HALVES), None) if self.role else None


def folder_name(name: str) -> FolderName:
    """Read a folder's name, word by word; case does not matter.

    A name has a role if a word for it stands first or last, apart from words for scale and degradation: ``lakes``,
    ``x2go`` and ``low_light`` have none.
    """
    words = _words(name)
    scales = [match for word in words if (match := re.fullmatch(SCALE, word))]
    plain = [word for word in words if not re.fullmatch(SCALE, word)]
    if not plain:
        return FolderName(scale=_scale(scales), bare=bool(scales))
    kinds = [_kind(word) for word in plain]
    role, strong = _role(plain, kinds)
    if role is None:
        return FolderName()
    matches = [match for kind, _, match in kinds if kind == role and match]
    groups = [match.groupdict() for match in matches]
    mods = [int(group["mod"]) for group in groups if group.get("mod")]
    hows = [word for word in plain if DEGRADATION.fullmatch(word)] + [g["how"] for g in groups if g.get("how")]
    rest = (word for word, (kind, _, _) in zip(plain, kinds, strict=True) if kind != role)
    return FolderName(
        role,
        strong,
        _scale(scales + matches),
        mod=mods[0] if mods else None,
        how=("bicubic" if set(hows) <= BICUBIC else "other") if hows and role == "LR" else None,
        rest=tuple(word for word in rest if role == "HR" or not DEGRADATION.fullmatch(word)),
    )


def _words(name: str) -> list[str]:
    """The words of a name in lower case; ``high res``, ``ground truth`` and ``SRF 4`` are one word each."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    text = " ".join(re.findall(r"[^\W_]+", apart))
    text = re.sub(r"\b(high|low) (res|resolution)\b", r"\1\2", text).replace("ground truth", "groundtruth")
    text = re.sub(r"\b(?:srf|scale|x) ?([2-9])\b", r"x\1", text)
    return [word for word in text.split() if word not in ("sub", "multiscale")]  # of pictures cut into pieces


def _scale(matches: list[re.Match[str]]) -> int | None:
    groups = (match.groupdict() for match in matches)
    found = (group.get("scale") or group.get("times") for group in groups)
    return next((int(scale) for scale in found if scale), None)


def _kind(word: str) -> tuple[str | None, bool, re.Match[str] | None]:
    """Role of a word, and whether it is strong."""
    for pattern, role, strong in (
        (HIGH, "HR", True), (LOW, "LR", True), (MAYBE_HIGH, "HR", False), (MAYBE_LOW, "LR", False),
    ):  # fmt: skip
        if match := pattern.fullmatch(word):
            return role, strong, match
    return None, False, None


def _role(words: list[str], kinds: list[tuple[str | None, bool, re.Match[str] | None]]) -> tuple[str | None, bool]:
    """Role of a whole name, and whether it is strong."""
    roles = {role for role, strong, _ in kinds if strong}
    if len(roles) > 1:
        return None, False
    if roles:
        core = [strong for word, (_, strong, _) in zip(words, kinds, strict=True) if not DEGRADATION.fullmatch(word)]
        return (roles.pop(), True) if core[0] or core[-1] else (None, False)
    weak = {role for word, (role, _, _) in zip(words, kinds, strict=True) if word not in HALVES}
    return (weak.pop(), False) if len(weak) == 1 else (None, False)


@dataclass(frozen=True)
class StemName:
    """The meaning of a file's name.

    Parameters
    ----------
    role : {"HR", "LR", None}
        Only where the name says so, as ``baby_HR`` or ``baby_LRBI_x4``.
    scale : int or None
    clear : bool
        Whether the scale stands apart, as in ``baby_x4`` or ``0001x4``, and not at a word's end, as in ``fox2``.
    rest : str
        By which partners find each other.
    """

    role: str | None
    scale: int | None
    clear: bool
    rest: str


def stem_name(stem: str) -> StemName:
    """Read the end of a file's name without its suffix: ``babyx4``, ``baby_x4``, ``baby_LRBI_x4``, ``img_SRF_4_HR``."""
    match = STEM.fullmatch(stem)
    if match is None:
        return StemName(None, None, False, stem)
    role = match["role"] and ("HR" if match["role"].upper() in ("HR", "GT", "HQ") else "LR")
    if match["srf"] and not role:
        return StemName(None, None, False, stem)
    scale = match["after"] or match["before"] or match["srf"]
    clear = bool(scale and (role or match["gap"] or match["gap2"] or match["rest"][-1].isdigit()))
    return StemName(role, int(scale) if scale else None, clear, match["rest"])
