"""The table of labels."""

from __future__ import annotations

import pytest

from smplifyx.errors import InputError
from smplifyx.gender.decision import read_labels


def write(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return path


def test_labels_of_persons_and_of_everybody(tmp_path):
    labels = read_labels(
        write(tmp_path, "image,person,label,note\na.jpg,0,Male,x\nsub/b.png,,female,\nb.png, 2 ,neutral,\n")
    )
    assert labels.of("a", 0) == "male"
    assert labels.of("a", 1) is None
    assert [labels.of("b", person) for person in (0, 2)] == ["female", "neutral"]
    assert labels.of("c", 0) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,label\na,male\n", "columns are missing: person; expected image, person, label"),
        ("image,person,label\na,0,man\n", "line 2, label: is 'man'"),
        ("image,person,label\na,first,male\n", "line 2, person: is 'first'"),
        ("image,person,label\na,0\n", "line 2: has fewer entries"),
        ("image,person,label\na,0,male\na.png,0,female\n", "line 3: contradicts"),
        ("", "columns are missing"),
    ],
)
def test_wrong_tables_are_named_by_line(tmp_path, text, message):
    with pytest.raises(InputError) as raised:
        read_labels(write(tmp_path, text))
    assert message in str(raised.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError) as raised:
        read_labels(tmp_path / "none.csv")
    problem = "cannot be read as a table (CSV in UTF-8): No such file or directory"
    assert str(raised.value) == f"{tmp_path / 'none.csv'}: {problem}"
