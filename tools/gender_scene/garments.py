"""Garment and its thickness at each point of the T-posed body."""

from __future__ import annotations

import numpy as np

from tools.demo_scene.clothes import BodyMarks, hair_depth
from tools.gender_scene.appearance import Appearance

SKIN, TOP, INNER, BOTTOM, SHOES, HAIR, BEARD, HAT, TIE = range(9)
#: Height of the belt above the pelvis joint, metres.
_BELT = 0.04
#: From the shoulder joint down to below the armpit, metres.
_ARMPIT = 0.12
_MOUTH = slice(31, 43)


class Garments:
    """An appearance on a body with ``marks``."""

    def __init__(self, marks: BodyMarks, appearance: Appearance) -> None:
        self._marks = marks
        self._appearance = appearance
        self.belt = float(marks.joint["pelvis"][1]) + _BELT

    def height_on_leg(self, place: float) -> float:
        """Height of a hem: 0 at the hip, 1 at the knee, 2 at the ankle."""
        levels = [self._marks.joint[f"left_{name}"][1] for name in ("hip", "knee", "ankle")]
        return float(np.interp(place, [0, 1, 2], levels))

    def label(self, rest: np.ndarray) -> np.ndarray:
        """[N] label of the garment at each point [N, 3]."""
        appearance, joint = self._appearance, self._marks.joint
        labels = np.full(len(rest), SKIN)
        away, height = np.abs(rest[:, 0]), rest[:, 1]
        lower_hem = self.height_on_leg(appearance.leg)
        if appearance.lower != "skirt":
            labels[(height < self.belt) & (height > lower_hem)] = BOTTOM
        else:
            labels[(height < self.belt) & (height > self.height_on_leg(0.15))] = BOTTOM
        ankle = joint["left_ankle"][1]
        labels[height <= ankle + appearance.shoe_height] = SHOES
        trunk = height < joint["left_shoulder"][1] - _ARMPIT
        covered = (
            self._below_neckline(rest) & (height >= self.belt - appearance.hem) & ((away < self._sleeve()) | trunk)
        )
        labels[covered] = TOP
        if appearance.top_kind in ("jacket", "suit"):
            opening = np.interp(height, [self.belt, joint["neck"][1]], [0.03, 0.085])
            labels[covered & (away < opening) & (rest[:, 2] > joint["spine3"][2])] = INNER
            if appearance.tie is not None:
                strip = np.interp(height, [self.belt + 0.03, joint["neck"][1] - 0.03], [0.028, 0.014])
                labels[(labels == INNER) & (away < strip)] = TIE
        labels[self._beard(rest)] = BEARD
        depth = self.hair_depth(rest)
        labels[depth > 0] = HAIR
        if appearance.hat is not None:
            labels[self._under_hat(rest)] = HAT
        return labels

    def hair_depth(self, rest: np.ndarray) -> np.ndarray:
        """[N] metres above the hairline; negative where no hair grows."""
        hair = self._appearance.hair
        if hair.cut == "bald":
            return np.full(len(rest), -1.0)
        return hair_depth(rest, self._marks, hair.nape, hair.forehead)

    def thickness(self, rest: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """[N] metres."""
        appearance, joint = self._appearance, self._marks.joint
        by_label = np.zeros(9)
        by_label[[TOP, INNER, BOTTOM, SHOES, TIE]] = (
            appearance.top_thickness,
            0.006,
            appearance.bottom_thickness,
            0.018,
            0.012,
        )
        by_label[BEARD] = {"full": 0.010, "goatee": 0.007}.get(appearance.hair.beard, 0.0)
        thickness = by_label[labels]
        # cloth lies on the shoulders and hangs free below the chest
        hanging = np.interp(rest[:, 1], [self.belt, joint["spine3"][1], joint["left_shoulder"][1]], [1.0, 0.9, 0.35])
        thickness = np.where(labels == TOP, np.maximum(thickness * hanging, 0.004), thickness)
        ankle, knee = joint["left_ankle"][1], joint["left_knee"][1]
        width = np.interp(rest[:, 1], [ankle, knee, self.belt - 0.08, self.belt], [1.6, 1.1, 1.0, 0.3])
        thickness = np.where(labels == BOTTOM, np.maximum(thickness * width, 0.004), thickness)
        hair = np.minimum(appearance.hair.fullness, 0.003 + 0.6 * self.hair_depth(rest))
        thickness = np.where(labels == HAIR, hair, thickness)
        return np.where(labels == HAT, 0.008 + 0.5 * appearance.hair.fullness, thickness)

    def _sleeve(self) -> float:
        along = [float(self._marks.joint[f"left_{name}"][0]) for name in ("shoulder", "elbow", "wrist")]
        if self._appearance.sleeve < 0:
            return along[0] - (0.035 if self._appearance.top_kind == "tank" else 0.01)
        return float(np.interp(self._appearance.sleeve, [0, 1, 2], along))

    def _below_neckline(self, rest: np.ndarray) -> np.ndarray:
        neck = self._marks.joint["neck"]
        if self._appearance.top_kind == "none":
            return np.zeros(len(rest), bool)
        if self._appearance.top_kind == "bandeau":
            return np.asarray(rest[:, 1] < self._marks.joint["left_shoulder"][1] - 0.07)
        radius, drop = self._appearance.neckline
        away = np.abs(rest[:, 0])
        outside = np.linalg.norm((rest - neck) * [1.0, 1.15, 1.0], axis=1) > radius
        share = np.clip(1.0 - away / (radius + 0.015), 0.0, 1.0)
        dip = 0.045 + (1.8 * drop * share if self._appearance.v_neck else drop * np.sqrt(share * (2.0 - share)))
        in_front = rest[:, 2] > neck[2]
        return outside & (rest[:, 1] < neck[1] + 0.01) & ~(in_front & (rest[:, 1] > neck[1] - dip) & (share > 0))

    def _beard(self, rest: np.ndarray) -> np.ndarray:
        kind = self._appearance.hair.beard
        if kind in ("none", "stubble"):
            return np.zeros(len(rest), bool)
        mouth, nose = self._marks.landmarks[_MOUTH], self._marks.point["nose"]
        ear, neck = self._marks.point["left_ear"], self._marks.joint["neck"]
        away = np.abs(rest[:, 0])
        half = np.ptp(mouth[:, 0]) / 2.0
        lip_top, centre = mouth[:, 1].max(), mouth[:, 1].mean()
        in_front = (rest[:, 2] > ear[2] + 0.005) & (rest[:, 1] > neck[1] + 0.025)
        moustache = (
            (rest[:, 1] > centre)
            & (rest[:, 1] < (lip_top + 0.7 * (nose[1] - 0.014 - lip_top)))
            & (away < half + 0.006)
        )
        inside = (away < half) & (np.abs(rest[:, 1] - centre) < 0.35 * np.ptp(mouth[:, 1]) + 0.002)
        chin = (rest[:, 1] < centre - 0.012) & (away < half + 0.004)
        cheeks = rest[:, 1] < np.interp(
            away, [0.0, half, 0.06, 0.08], [centre, centre + 0.004, ear[1] - 0.025, ear[1]]
        )
        parts = {"moustache": moustache, "goatee": moustache | chin, "full": moustache | chin | cheeks}
        return in_front & parts[kind] & ~inside

    def _under_hat(self, rest: np.ndarray) -> np.ndarray:
        brow, ear = self._marks.landmarks[:10].mean(axis=0), self._marks.point["left_ear"]
        rim = np.interp(rest[:, 2], [ear[2] - 0.08, brow[2]], [ear[1] + 0.025, brow[1] + 0.03])
        return np.asarray(rest[:, 1] > rim)
