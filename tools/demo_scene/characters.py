"""The people of the demo's pictures, written by hand: bodies, poses, clothes, places and cameras."""

from __future__ import annotations

from dataclasses import dataclass

#: Euler angles of a joint in degrees, applied about x, then y, then z of the T-posed body. For an arm these are its
#: twist, swing and raise; for a leg flexion (forward is negative), turn and spread.
Angles = tuple[float, float, float]
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Outfit:
    """Colours (sRGB, 0 to 1) and cut of the clothes."""

    skin: Color
    hair: Color
    shirt: Color
    trousers: Color
    shoes: Color
    sleeve: float = 0.45
    """End of the sleeves: 0 at the shoulder, 1 at the elbow, 2 at the wrist."""
    hair_length: float = 0.0
    """Length of the hair below the ears, metres."""
    stripes: Color | None = None


@dataclass(frozen=True)
class Character:
    """One person.

    Attributes:
        gender: which body model.
        betas: first shape coefficients; the others are 0.
        pose: Euler angles of body joints, jaw and eyes; joints left out stay straight.
        hands: names of hand shapes, left and right.
        heading: degrees; 0 faces the camera, positive turns towards the picture's right side.
        lean: degrees by which the pelvis is pitched forwards.
        place: metres to the right of the camera and away from it.
        expression: first expression coefficients.
    """

    gender: str
    betas: tuple[float, ...]
    pose: dict[str, Angles]
    hands: tuple[str, str]
    heading: float
    place: tuple[float, float]
    outfit: Outfit
    lean: float = 0.0
    expression: tuple[float, ...] = ()


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: stem of its files.
        people: those in it, in the order of the keypoint file.
        size: width and height, pixels.
        focal_length: pixels.
        camera_height, camera_pitch: metres above the floor and degrees downwards.
        wall_distance: metres from the camera.
        wall, floor: colours, sRGB.
        light: direction towards the main light: right, up, towards the camera.
        stool: whether the first person sits on a block.
        exif: whether the file contains its focal length.
    """

    name: str
    people: tuple[Character, ...]
    size: tuple[int, int]
    focal_length: float
    camera_height: float
    camera_pitch: float
    wall_distance: float
    wall: Color
    floor: Color
    light: tuple[float, float, float] = (-0.6, 1.0, 0.7)
    stool: bool = False
    exif: bool = False
    seed: int = 0


WALKING = Character(
    gender="female",
    betas=(0.3, -0.4, 0.5),
    pose={
        "left_hip": (-28, 0, 2), "left_knee": (6, 0, 0), "left_ankle": (4, 0, 0),
        "right_hip": (22, 0, -2), "right_knee": (18, 0, 0), "right_ankle": (-12, 0, 0), "right_foot": (-24, 0, 0),
        "spine1": (2, 0, 0), "spine2": (2, 6, 0), "spine3": (0, 6, 0), "neck": (0, -12, 0), "head": (2, -18, 0),
        "left_collar": (0, 0, -4), "right_collar": (0, 0, 4),
        "left_shoulder": (5, 22, -68), "left_elbow": (0, -14, 0),
        "right_shoulder": (5, 30, 66), "right_elbow": (0, 38, 0),
    },
    hands=("relaxed", "relaxed"),
    heading=38.0,
    place=(-0.05, 4.1),
    outfit=Outfit(
        skin=(0.87, 0.66, 0.54), hair=(0.22, 0.13, 0.09), shirt=(0.86, 0.42, 0.32), trousers=(0.22, 0.28, 0.42),
        shoes=(0.93, 0.92, 0.90), sleeve=0.55, hair_length=0.02,
    ),
    expression=(1.3,),
)  # fmt: skip

REACHING = Character(
    gender="male",
    betas=(0.4, 0.5, -0.3),
    pose={
        "left_hip": (-3, 8, 7), "left_knee": (5, 0, 0), "left_ankle": (-2, 0, -6),
        "right_hip": (0, -6, -5), "right_ankle": (0, 0, 5),
        "spine1": (-3, 0, 3), "spine2": (-3, -4, 5), "spine3": (-3, 0, 5), "neck": (-10, -12, 0),
        "head": (-16, -14, 0),
        "left_collar": (0, 0, -3), "left_shoulder": (62, 10, -48), "left_elbow": (0, -92, 0),
        "left_wrist": (0, 0, -20),
        "right_collar": (0, 0, -22), "right_shoulder": (0, 20, -58), "right_elbow": (0, 24, 0),
        "right_wrist": (0, 0, 0),
    },
    hands=("fist", "spread"),
    heading=-12.0,
    place=(0.05, 3.0),
    outfit=Outfit(
        skin=(0.55, 0.37, 0.27), hair=(0.08, 0.07, 0.07), shirt=(0.86, 0.70, 0.32), trousers=(0.42, 0.43, 0.40),
        shoes=(0.25, 0.20, 0.18), sleeve=0.5,
    ),
    expression=(0.8,),
)  # fmt: skip

SITTING = Character(
    gender="male",
    betas=(-0.3, -0.6, 0.4),
    pose={
        "left_hip": (-84, 0, 9), "left_knee": (78, 0, 0), "left_ankle": (4, 0, 0),
        "right_hip": (-80, 0, -7), "right_knee": (94, 0, 0), "right_ankle": (-16, 0, 0),
        "spine1": (10, 0, 0), "spine2": (8, -3, 0), "spine3": (4, -6, 0), "neck": (-4, -16, 0), "head": (-6, -22, 0),
        "left_collar": (0, 0, -4), "left_shoulder": (10, -28, -62), "left_elbow": (0, -48, 0),
        "right_collar": (0, 0, 4), "right_shoulder": (12, 38, 62), "right_elbow": (0, 88, 0),
        "jaw": (3, 0, 0),
    },
    hands=("resting", "point"),
    heading=66.0,
    place=(-0.1, 3.5),
    outfit=Outfit(
        skin=(0.90, 0.71, 0.60), hair=(0.45, 0.30, 0.16), shirt=(0.38, 0.56, 0.52), trousers=(0.30, 0.26, 0.25),
        shoes=(0.72, 0.30, 0.24), sleeve=1.9,
    ),
    expression=(1.0,),
)  # fmt: skip

CROSSED = Character(
    gender="female",
    betas=(0.5, 0.5, 0.2),
    pose={
        "left_hip": (0, 0, 3), "right_hip": (0, 0, -3),
        "spine2": (-2, 4, 0), "spine3": (-2, 4, 0), "neck": (2, 10, 0), "head": (2, 18, 4),
        "left_collar": (0, 0, -4), "left_shoulder": (52, -32, -62), "left_elbow": (0, -98, 0),
        "right_collar": (0, 0, 4), "right_shoulder": (60, 22, 66), "right_elbow": (0, 104, 0),
    },
    hands=("relaxed", "relaxed"),
    heading=14.0,
    place=(-0.50, 3.1),
    outfit=Outfit(
        skin=(0.72, 0.51, 0.39), hair=(0.10, 0.08, 0.09), shirt=(0.55, 0.40, 0.62), trousers=(0.85, 0.82, 0.76),
        shoes=(0.3, 0.3, 0.32), sleeve=1.6, hair_length=0.03,
    ),
    expression=(0.8,),
)  # fmt: skip

GESTURING = Character(
    gender="male",
    betas=(-0.2, 0.3, -0.4),
    pose={
        "left_hip": (0, 0, 3), "right_hip": (0, 0, -3),
        "spine2": (3, 0, 0), "spine3": (2, 0, 0), "neck": (0, -8, 0), "head": (3, -10, -3),
        "left_collar": (0, 0, -3), "left_shoulder": (-20, -22, -60), "left_elbow": (0, -118, 0),
        "left_wrist": (-65, 0, 0),
        "right_collar": (0, 0, 3), "right_shoulder": (-8, 20, 62), "right_elbow": (0, 78, 0),
        "right_wrist": (-50, 0, 0), "jaw": (4, 0, 0),
    },
    hands=("victory", "flat"),
    heading=-28.0,
    place=(0.46, 3.15),
    outfit=Outfit(
        skin=(0.89, 0.69, 0.57), hair=(0.30, 0.20, 0.13), shirt=(0.30, 0.45, 0.66), trousers=(0.25, 0.25, 0.28),
        shoes=(0.2, 0.2, 0.2), sleeve=0.6, stripes=(0.90, 0.90, 0.88),
    ),
    expression=(1.0,),
)  # fmt: skip

PICTURES: tuple[Picture, ...] = (
    Picture(
        "reaching", (REACHING,), (640, 900), 880.0, 0.75, -5.0, 4.4, (0.62, 0.72, 0.78), (0.60, 0.53, 0.46),
        light=(0.45, 1.3, 0.5), seed=1,
    ),
    Picture(
        "sitting", (SITTING,), (900, 800), 1250.0, 1.25, 10.0, 5.2, (0.80, 0.74, 0.64), (0.46, 0.44, 0.43),
        light=(0.5, 1.1, 0.9), stool=True, exif=True, seed=2,
    ),
    Picture(
        "talking", (CROSSED, GESTURING), (900, 675), 1500.0, 1.5, 2.2, 5.0, (0.70, 0.76, 0.66), (0.55, 0.50, 0.45),
        seed=5,
    ),
    Picture(
        "walking", (WALKING,), (640, 900), 1620.0, 1.55, 9.0, 6.5, (0.78, 0.74, 0.80), (0.52, 0.55, 0.58),
        exif=True, seed=4,
    ),
)  # fmt: skip
