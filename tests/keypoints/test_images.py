from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageFile
from PIL.TiffImagePlugin import IFDRational

from smplifyx.errors import InputError
from smplifyx.keypoints import images
from smplifyx.keypoints.images import exif_focal_length_px, image_size, read_image

# Each orientation as the operation on the stored pixels that turns them upright (EXIF 2.3, section 4.6.4).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.fixture
def picture() -> np.ndarray:
    """Four differently coloured quarters, red, green, blue; smooth enough for JPEG."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48], picture[:32, 48:], picture[32:, :48] = (200, 40, 40), (40, 200, 40), (40, 40, 200)
    return picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_photos_are_turned_upright(tmp_path: Path, picture: np.ndarray, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"photo.{ending}"
    Image.fromarray(picture).save(path, exif=exif, quality=95)
    upright = UPRIGHT[orientation](picture)
    read = read_image(path)
    assert read.dtype == np.uint8 and read.shape == upright.shape
    assert image_size(path) == (upright.shape[1], upright.shape[0])
    difference = np.abs(read[:, :, ::-1].astype(int) - upright)
    assert np.median(difference) <= 3


def test_opencv_agrees_on_rotated_jpeg(tmp_path: Path, picture: np.ndarray) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif)
    difference = cv2.imread(str(tmp_path / "a.jpg")).astype(int) - read_image(tmp_path / "a.jpg")
    assert np.abs(difference).max() <= 3


@pytest.mark.parametrize(
    "name", ["a.JPG", "a.jpeg", "a.png", "a.PNG", "a.bmp", "a.tiff", "a.webp", "a.ppm", "a.jp2", "a.hdr"]
)
def test_formats(tmp_path: Path, picture: np.ndarray, name: str) -> None:
    data = picture.astype(np.float32) / 255 if name.endswith("hdr") else picture
    path = tmp_path / name
    path.write_bytes(cv2.imencode(path.suffix.lower(), data)[1].tobytes())
    read = read_image(path)
    assert read.shape == (64, 96, 3) and read.dtype == np.uint8
    assert image_size(path) == (96, 64)
    assert np.median(np.abs(read.astype(int) - picture)) <= 5


@pytest.mark.parametrize("kind", ["grey", "grey16", "colour16", "alpha", "palette", "bilevel"])
def test_all_become_8_bit_colour(tmp_path: Path, picture: np.ndarray, kind: str) -> None:
    path = tmp_path / "a.png"
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    if kind == "grey":
        cv2.imwrite(str(path), grey)
    elif kind == "grey16":
        cv2.imwrite(str(path), grey.astype(np.uint16) * 257)
    elif kind == "bilevel":
        Image.fromarray(grey > 100).save(path)
        expected = np.where(expected > 100, 255, 0)
    else:
        expected = picture
        if kind == "colour16":
            cv2.imwrite(str(path), picture.astype(np.uint16) * 257)
        elif kind == "alpha":
            # What is hidden becomes white.
            alpha = np.where(np.arange(picture.shape[1]) < 5, 0, 255).astype(np.uint8)
            cv2.imwrite(str(path), np.dstack([picture, np.tile(alpha, (len(picture), 1))]))
            expected = picture.copy()
            expected[:, :5] = 255
        else:
            Image.fromarray(picture[:, :, ::-1]).quantize(8).save(path)
    np.testing.assert_allclose(read_image(path).astype(int), expected, atol=1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "bmp"])
@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.6, 0.95])
def test_files_cut_off_are_refused(tmp_path: Path, ending: str, fraction: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    path = tmp_path / f"a.{ending}"
    data = cv2.imencode(f".{ending}", noise)[1].tobytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    for function in (read_image, image_size):
        with pytest.raises(InputError) as caught:
            function(path)
        assert caught.value.path == path


def test_absent_files_folders_and_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("<html>not found</html>")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("text.jpg", "folder.jpg", "absent.jpg"):
        for function in (read_image, image_size):
            with pytest.raises(InputError):
                function(tmp_path / name)


@pytest.mark.parametrize("function", [read_image, image_size, exif_focal_length_px])
def test_a_photo_that_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch, function) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 20)).save(path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(InputError, match="cannot be read: permission denied") as caught:
        function(path)
    assert caught.value.path == path


def save_with_exif(path: Path, size: tuple[int, int], tags: dict[int, object], orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    Image.new("RGB", size).save(path, exif=exif)
    return path


FILM, FOCAL = ExifTags.Base.FocalLengthIn35mmFilm, ExifTags.Base.FocalLength
X_RESOLUTION, UNIT = ExifTags.Base.FocalPlaneXResolution, ExifTags.Base.FocalPlaneResolutionUnit
WIDTH, HEIGHT = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight


@pytest.mark.parametrize("orientation", [1, 6])
def test_focal_length_on_film(tmp_path: Path, orientation: int) -> None:
    # A picture of the film's own shape: 36 mm are 720 pixels.
    path = save_with_exif(tmp_path / "a.jpg", (720, 480), {FILM: 50, WIDTH: 3600, HEIGHT: 2400}, orientation)
    assert exif_focal_length_px(path) == pytest.approx(50 * 720 / 36, rel=1e-3)


def test_focal_length_from_the_sensor(tmp_path: Path) -> None:
    # 4000 pixels on a 36 mm sensor, 35 mm lens, then halved in size.
    tags = {FOCAL: IFDRational(35), X_RESOLUTION: IFDRational(int(4000 / 36 * 2540), 100), UNIT: 2}
    tags |= {WIDTH: 600, HEIGHT: 400}
    path = save_with_exif(tmp_path / "a.jpg", (300, 200), tags)
    assert exif_focal_length_px(path) == pytest.approx(35 * 4000 / 36 / 2, rel=1e-3)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {FILM: 0},
        {FILM: 1},
        {FILM: 60000},
        {FOCAL: IFDRational(35)},
        {FOCAL: IFDRational(35), X_RESOLUTION: IFDRational(1, 0), UNIT: 2},
        {FILM: 28, WIDTH: 4000, HEIGHT: 3000},
    ],
    ids=["none", "zero", "too short", "too long", "no sensor", "one over zero", "cropped"],
)
def test_no_focal_length(tmp_path: Path, tags: dict[int, object]) -> None:
    assert exif_focal_length_px(save_with_exif(tmp_path / "a.jpg", (300, 200), tags)) is None


def test_phone_photos_with_exif_rotation(real: Path) -> None:
    for path in sorted((real / "smplify_xmc" / "images").iterdir()):
        with Image.open(path) as stored:
            assert stored.size == (4032, 3024)
        assert image_size(path) == (3024, 4032)
        assert read_image(path).shape == (4032, 3024, 3)
        assert exif_focal_length_px(path) is None


def test_a_jpeg_may_be_decoded_reduced_but_not_below_the_share_asked_for(tmp_path):
    rows, columns = np.mgrid[:600, :800]
    image = np.stack([rows // 3, columns // 4, (rows + columns) // 8], 2).astype(np.uint8)
    for suffix, expected in ((".jpg", (300, 400)), (".png", (600, 800))):
        path = tmp_path / f"photo{suffix}"
        cv2.imwrite(str(path), image)
        assert read_image(path, 0.3).shape[:2] == expected
        assert read_image(path, 0.6).shape[:2] == (600, 800)
    halved = image.reshape(300, 2, 400, 2, 3).mean((1, 3))
    assert np.abs(read_image(tmp_path / "photo.jpg", 0.5) - halved).mean() < 2


def test_hidden_colours_become_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, :, 1] = 255  # loud green
    pixels[:, 3:, 3] = 255
    Image.fromarray(pixels).save(path)
    read = read_image(path)
    assert (read[:, :3] == 255).all() and (read[:, 3:] == (0, 255, 0)).all()


def test_an_error_of_any_kind_in_a_decoder_is_one_of_the_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 6)).save(path)

    def load(self: Image.Image) -> None:
        raise RuntimeError("failed to decode")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    for function in (read_image, image_size):
        with pytest.raises(InputError, match="is damaged or cut off"):
            function(path)


def test_large_photos_are_read_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (300, 200)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # the limit is another library user's: it stays
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert image_size(path) == (300, 200) and read_image(path).shape == (200, 300, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000
    monkeypatch.setattr(images, "LARGEST_IMAGE", 1000)
    with pytest.raises(InputError, match="megapixels; expected at most"):
        image_size(path)


def test_pointers_of_lfs_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(InputError, match="pointer of Git LFS"):
        image_size(path)


def test_heic_images_are_named(tmp_path):
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(InputError, match="is a HEIC image"):
        read_image(path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_opencv_does_not_write_about_damaged_files_itself(tmp_path, capfd):
    path = tmp_path / "damaged.tif"
    data = bytearray(cv2.imencode(".tif", np.zeros((40, 50, 3), np.uint8))[1].tobytes())
    data[-200:] = b"\x07" * 200
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_image(path)
    assert capfd.readouterr() == ("", "")
