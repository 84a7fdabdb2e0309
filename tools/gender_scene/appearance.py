"""Random clothes and hair, from distributions that differ between men and women but overlap."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

Color = tuple[float, float, float]
Rng = np.random.Generator

_SKIN_TONES = np.array(
    [(0.96, 0.80, 0.70), (0.90, 0.70, 0.58), (0.82, 0.61, 0.48), (0.68, 0.47, 0.34), (0.50, 0.33, 0.24),
     (0.33, 0.21, 0.16)]
)  # fmt: skip
_HAIR_COLORS = np.array(
    [(0.07, 0.06, 0.06), (0.14, 0.10, 0.08), (0.26, 0.17, 0.11), (0.38, 0.25, 0.15), (0.62, 0.47, 0.28),
     (0.80, 0.68, 0.46), (0.48, 0.22, 0.12), (0.62, 0.61, 0.60)]
)  # fmt: skip
_HAIR_SHARES = {
    "male": (0.30, 0.24, 0.18, 0.10, 0.05, 0.02, 0.02, 0.09),
    "female": (0.24, 0.20, 0.18, 0.12, 0.10, 0.09, 0.04, 0.03),
}
#: Shares of (men, women).
_HAIRCUTS = {
    "bald": (0.08, 0.002), "buzz": (0.23, 0.008), "short": (0.50, 0.08), "ears": (0.10, 0.09),
    "bob": (0.03, 0.20), "shoulder": (0.035, 0.25), "long": (0.025, 0.37),
}  # fmt: skip
_TIED = {"bob": 0.12, "shoulder": 0.30, "long": 0.34}
_LOWERS = {"trousers": (0.66, 0.45), "shorts": (0.30, 0.20), "leggings": (0.03, 0.14), "skirt": (0.01, 0.21)}
_TOPS = {
    "tank": (0.07, 0.19), "tee": (0.44, 0.36), "long": (0.22, 0.24), "shirt": (0.11, 0.06), "jacket": (0.11, 0.10),
    "suit": (0.05, 0.01), "bandeau": (0.0, 0.04), "none": (0.05, 0.0),
}  # fmt: skip
_PATTERNS = {
    "plain": (0.56, 0.52), "stripes": (0.08, 0.09), "pinstripes": (0.03, 0.02), "plaid": (0.08, 0.04),
    "dots": (0.01, 0.05), "blotches": (0.05, 0.12), "print": (0.13, 0.10), "blocks": (0.06, 0.06),
}  # fmt: skip
_BEARDS = {"none": 0.55, "stubble": 0.22, "moustache": 0.04, "goatee": 0.06, "full": 0.13}


@dataclass(frozen=True)
class Cloth:
    """One piece: sRGB ``color``, ``pattern`` in ``second`` colour with cells of ``scale`` metres."""

    color: Color
    second: Color
    pattern: str
    scale: float


@dataclass(frozen=True)
class Hair:
    """Hair on head and face.

    Attributes:
        cut: name of the haircut; ``tied`` hair is in a ponytail or bun (``none``, ``tail``, ``bun``).
        fullness: thickness on the scalp, metres.
        nape: how far the scalp's hair reaches below the ears, metres.
        forehead: how much higher the hairline is than usual, metres; negative for a fringe.
        length: of hanging hair below the ears, metres; 0 for none.
        spread: how much hanging hair widens.
        sides: azimuth to which hanging hair comes forward, degrees from the back.
        wave: amplitude of curls, metres.
        beard: kind of beard.
    """

    cut: str
    tied: str
    color: Color
    fullness: float
    nape: float
    forehead: float
    length: float
    spread: float
    sides: float
    wave: float
    beard: str


@dataclass(frozen=True)
class Appearance:
    """Everything about a person's appearance but the body.

    Attributes:
        skin: sRGB.
        top, bottom, inner: pieces of clothing; the inner shirt shows where a jacket is open.
        top_kind: one of the tops; ``lower`` of the lowers.
        sleeve: where sleeves end: 0 shoulder, 1 elbow, 2 wrist.
        leg: where trousers or shorts end: 0 hip, 1 knee, 2 ankle; for a skirt its hem.
        hem: how far the top reaches below the belt, metres; negative leaves the belly bare.
        neckline: radius of the opening for the neck and depth of its front, metres; ``v_neck`` gives its form.
        top_thickness, bottom_thickness: looseness, metres.
        flare: by how much a skirt or coat widens, metres.
        coat: hem of a coat or tunic below the belt, metres; 0 for none.
        shoes: colour; ``shoe_height`` above the ankle, metres.
        brow: half thickness of the eyebrows, metres.
        lips: colour and its share over the skin.
        eyes: colour; ``eye_shadow`` share of dark make-up around them.
        glasses: none, rims, dark.
        hat: colour or none.
        tie: colour or none.
    """

    skin: Color
    top: Cloth
    bottom: Cloth
    inner: Cloth
    hair: Hair
    top_kind: str
    lower: str
    sleeve: float
    leg: float
    hem: float
    neckline: tuple[float, float]
    v_neck: bool
    top_thickness: float
    bottom_thickness: float
    flare: float
    coat: float
    shoes: Color
    shoe_height: float
    brow: float
    lips: tuple[Color, float]
    eyes: Color
    eye_shadow: float
    glasses: str
    hat: Color | None
    tie: Color | None


def draw_appearance(gender: str, rng: Rng) -> Appearance:
    """A random appearance of a man or a woman."""
    female = gender == "female"
    top_kind, lower = _choose(_TOPS, female, rng), _choose(_LOWERS, female, rng)
    top = _cloth(female, rng)
    bottom = top if lower == "skirt" and rng.random() < 0.5 else _lower_cloth(lower, female, rng)
    hair = _hair(gender, rng)
    tight = rng.beta(2.5, 1.6) if female else rng.beta(1.5, 2.6)
    tone = _skin(rng)
    with_coat = top_kind in ("long", "jacket") and lower in ("trousers", "leggings") and rng.random() < 0.3
    coat = float(rng.uniform(0.15, 0.55)) if with_coat else 0.0
    return Appearance(
        skin=tone,
        top=top,
        bottom=bottom,
        inner=_cloth(female, rng) if rng.random() < 0.5 else Cloth((0.92, 0.92, 0.93), (0.9, 0.9, 0.9), "plain", 0.1),
        hair=hair,
        top_kind=top_kind,
        lower=lower,
        sleeve=_sleeve(top_kind, rng),
        leg=_leg(lower, rng),
        hem=_hem(female, top_kind, rng),
        neckline=_neckline(female, top_kind, rng),
        v_neck=bool(rng.random() < (0.35 if female else 0.18)),
        top_thickness=float(np.interp(tight, [0, 1], [0.028, 0.004])),
        bottom_thickness=0.004 if lower == "leggings" else float(np.interp(tight, [0, 1], [0.026, 0.006])),
        flare=float(rng.uniform(0.0, 0.05) if coat > 0 or rng.random() < 0.4 else rng.uniform(0.05, 0.2)),
        coat=coat,
        shoes=_cloth(female, rng).color if rng.random() < 0.35 else _grey(rng),
        shoe_height=float(
            rng.choice([0.0, 0.01, 0.06, 0.2], p=[0.4, 0.3, 0.2, 0.1] if female else [0.35, 0.4, 0.2, 0.05])
        ),
        brow=float(np.clip(rng.normal(0.0026 if female else 0.0040, 0.0008), 0.0014, 0.006)),
        lips=_lips(female, rng),
        eyes=tuple(
            np.array([(0.25, 0.16, 0.10), (0.30, 0.36, 0.42), (0.30, 0.34, 0.22)])[rng.choice(3, p=[0.7, 0.2, 0.1])]
        ),
        eye_shadow=float(rng.uniform(0.1, 0.6)) if female and rng.random() < 0.5 else 0.0,
        glasses=str(rng.choice(["none", "rims", "dark"], p=[0.82, 0.12, 0.06])),
        hat=_hat(female, rng),
        tie=_cloth(female, rng).color if top_kind == "suit" and rng.random() < 0.8 else None,
    )


def recolored(appearance: Appearance, gender: str, rng: Rng) -> Appearance:
    """The same hair and cut of clothes in other colours, on other skin."""
    other = draw_appearance(gender, rng)
    return replace(
        appearance,
        skin=other.skin,
        top=other.top,
        bottom=other.top if appearance.bottom is appearance.top else other.bottom,
        inner=other.inner,
        hair=replace(appearance.hair, color=other.hair.color),
        shoes=other.shoes,
        lips=other.lips,
        eyes=other.eyes,
        glasses=other.glasses,
        hat=None if appearance.hat is None else _garment_color(gender == "female", rng),
        tie=None if appearance.tie is None else other.inner.second,
    )


def _choose(shares: Mapping[str, tuple[float, float]], female: bool, rng: Rng) -> str:
    weights = np.array([share[int(female)] for share in shares.values()])
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _skin(rng: Rng) -> Color:
    place = rng.beta(1.1, 1.7) * (len(_SKIN_TONES) - 1)
    tone = [np.interp(place, np.arange(len(_SKIN_TONES)), _SKIN_TONES[:, k]) for k in range(3)]
    return _color(np.array(tone) * rng.normal(1.0, 0.025, 3))


def _color(values: np.ndarray | Sequence[float]) -> Color:
    r, g, b = np.clip(values, 0.01, 0.99)
    return float(r), float(g), float(b)


def _grey(rng: Rng) -> Color:
    level = rng.choice([rng.uniform(0.03, 0.25), rng.uniform(0.3, 0.6), rng.uniform(0.75, 0.97)], p=[0.5, 0.2, 0.3])
    return _color(level + rng.normal(0.0, 0.015, 3))


def _garment_color(female: bool, rng: Rng) -> Color:
    """Greys, muted and vivid colours; women's lean towards red, purple and pastel, men's towards blue and dark."""
    if rng.random() < (0.32 if female else 0.42):
        return _grey(rng)
    hue = rng.uniform()
    if rng.random() < 0.3:
        hue = (rng.normal(0.94, 0.08) if female else rng.normal(0.60, 0.06)) % 1.0
    saturation = rng.beta(1.6, 1.8)
    value = rng.uniform(0.2, 0.98) if female else rng.uniform(0.12, 0.92)
    return _color(colorsys.hsv_to_rgb(hue, saturation, value))


def _cloth(female: bool, rng: Rng) -> Cloth:
    scale = float(np.exp(rng.uniform(np.log(0.02), np.log(0.12))))
    return Cloth(_garment_color(female, rng), _garment_color(female, rng), _choose(_PATTERNS, female, rng), scale)


def _lower_cloth(lower: str, female: bool, rng: Rng) -> Cloth:
    cloth = _cloth(female, rng)
    plain = "plain" if lower != "skirt" and rng.random() < 0.75 else cloth.pattern
    color = cloth.color
    if lower in ("trousers", "shorts") and rng.random() < 0.5:  # denim, khaki, black
        base = np.array([(0.16, 0.21, 0.33), (0.33, 0.42, 0.56), (0.62, 0.54, 0.42), (0.07, 0.07, 0.08)])
        color = _color(base[rng.choice(4, p=[0.35, 0.2, 0.15, 0.3])] * rng.normal(1.0, 0.12))
    elif lower == "leggings" and rng.random() < 0.6:
        color = _color(np.full(3, rng.uniform(0.03, 0.12)))
    return Cloth(color, cloth.second, plain, cloth.scale)


def _hair(gender: str, rng: Rng) -> Hair:
    female = gender == "female"
    cut = _choose(_HAIRCUTS, female, rng)
    color = _HAIR_COLORS[rng.choice(len(_HAIR_COLORS), p=_HAIR_SHARES[gender])] * rng.normal(1.0, 0.10)
    if rng.random() < 0.03:
        color = np.array(colorsys.hsv_to_rgb(rng.uniform(), 0.6, 0.6))
    tied = "none"
    if rng.random() < _TIED.get(cut, 0.0):
        tied = "tail" if rng.random() < 0.6 else "bun"
    low, high = {"bob": (0.04, 0.10), "shoulder": (0.10, 0.18), "long": (0.18, 0.36)}.get(cut, (0.0, 0.0))
    curly = rng.random() < 0.25
    full = {"bald": 0.0, "buzz": 0.003, "short": rng.uniform(0.008, 0.028), "ears": rng.uniform(0.014, 0.03)}
    fullness = float(full.get(cut, rng.uniform(0.006, 0.012) if tied != "none" else rng.uniform(0.008, 0.022)))
    if curly and cut in ("short", "ears", "bob"):
        fullness += float(rng.uniform(0.005, 0.045))
    recede = abs(rng.normal(0.0, 0.022)) if not female else abs(rng.normal(0.0, 0.005))
    fringe = -rng.uniform(0.01, 0.035) if rng.random() < (0.28 if female else 0.12) else 0.0
    beard = str(rng.choice(list(_BEARDS), p=list(_BEARDS.values()))) if not female else "none"
    return Hair(
        cut=cut,
        tied=tied,
        color=_color(color),
        fullness=fullness,
        nape={"bald": 0.0, "buzz": 0.005, "short": float(rng.uniform(0.0, 0.02))}.get(
            cut, float(rng.uniform(0.02, 0.05))
        ),
        forehead=float(recede + fringe),
        length=float(rng.uniform(low, high)),
        spread=float(rng.uniform(-0.05, 0.35)),
        sides=float(rng.uniform(95.0, 132.0)),
        wave=float(rng.uniform(0.004, 0.014) if curly else rng.uniform(0.0, 0.003)),
        beard=beard,
    )


def _sleeve(top_kind: str, rng: Rng) -> float:
    if top_kind in ("tank", "bandeau", "none"):
        return -0.1
    if top_kind == "tee":
        return float(rng.uniform(0.3, 0.95))
    return float(rng.choice([rng.uniform(1.0, 1.7), rng.uniform(1.85, 1.97)], p=[0.25, 0.75]))


def _leg(lower: str, rng: Rng) -> float:
    if lower == "shorts":
        return float(rng.uniform(0.3, 1.1))
    if lower == "skirt":
        return float(np.clip(rng.normal(0.95, 0.4), 0.45, 1.9))
    return float(rng.choice([rng.uniform(1.3, 1.8), rng.uniform(1.9, 1.99)], p=[0.12, 0.88]))


def _hem(female: bool, top_kind: str, rng: Rng) -> float:
    if top_kind == "suit":
        return float(rng.uniform(0.08, 0.14))
    if rng.random() < (0.12 if female else 0.0):
        return float(-rng.uniform(0.04, 0.15))
    return 0.0 if rng.random() < 0.35 else float(rng.uniform(0.02, 0.13))


def _neckline(female: bool, top_kind: str, rng: Rng) -> tuple[float, float]:
    if top_kind in ("shirt", "suit", "jacket"):
        return float(rng.uniform(0.066, 0.078)), float(rng.uniform(0.0, 0.05))
    if top_kind == "tank":
        return float(rng.uniform(0.09, 0.125)), float(rng.uniform(0.05, 0.13))
    wide = rng.random() < (0.35 if female else 0.08)
    return float(rng.uniform(0.09, 0.12) if wide else rng.uniform(0.066, 0.09)), float(
        rng.uniform(0.04, 0.11) if wide else rng.uniform(0.0, 0.045)
    )


def _lips(female: bool, rng: Rng) -> tuple[Color, float]:
    if female and rng.random() < 0.45:
        return _color(np.array([0.72, 0.16, 0.22]) * rng.normal(1.0, 0.12, 3)), float(rng.uniform(0.35, 0.85))
    return (0.72, 0.36, 0.34), 0.3


def _hat(female: bool, rng: Rng) -> Color | None:
    return _garment_color(female, rng) if rng.random() < (0.06 if female else 0.15) else None
