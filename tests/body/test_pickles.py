"""Pickles: what licensed files hold is read, and nothing that a hostile one asks for is run."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from smplifyx.body.pickles import NotStored, load_pickle
from smplifyx.errors import InputError
from tests.python2_pickles import Chumpy, ChumpySelect, dump_python2


def stored(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    return path


ARRAYS = [
    np.arange(12.0).reshape(3, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(6, dtype=">u4"),
    np.zeros((0, 3), np.int16),
    np.array([[True, False]]),
    np.array("name"),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.array(3.5, np.float16),
    np.arange(4) * 1j,
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers(tmp_path: Path, protocol: int) -> None:
    content = {
        "arrays": ARRAYS,
        "scalars": (np.float32(2.5), np.int64(3), 1, 2.0, None, True, "text", b"\xffbytes"),
        "ordered": collections.OrderedDict(a=ARRAYS[0], b=[1, {2}]),
        "objects": np.array([{"a": ARRAYS[0]}, None], dtype=object),
        "same": [ARRAYS[0], ARRAYS[0]],
    }
    loaded = load_pickle(stored(tmp_path, pickle.dumps(content, protocol)))
    for array, expected in zip(loaded["arrays"], ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert (array.shape, array.dtype.kind) == (expected.shape, expected.dtype.kind)
    assert loaded["scalars"] == content["scalars"]
    assert loaded["ordered"]["b"] == [1, {2}]
    np.testing.assert_array_equal(loaded["objects"][0]["a"], ARRAYS[0])
    assert loaded["same"][0] is loaded["same"][1]
    loaded["arrays"][0][:] = 0  # arrays are the caller's own


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("layout", ["csc", "csr", "coo"])
def test_sparse_matrices(tmp_path: Path, layout: str, protocol: int) -> None:
    matrix = scipy.sparse.random(24, 100, 0.1, layout, random_state=0)
    loaded = load_pickle(stored(tmp_path, pickle.dumps({"J": matrix}, protocol)))["J"]
    assert loaded.format == layout
    np.testing.assert_array_equal(loaded.toarray(), matrix.toarray())


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python_2_files_with_chumpy(tmp_path: Path, protocol: int) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    matrix = scipy.sparse.random(5, 9, 0.3, "csc", random_state=0)
    content = {
        "x": Chumpy(values),
        "part": ChumpySelect(Chumpy(values), np.arange(0, 24, 2), (2, 3, 2)),
        "plain": values,
        "J": matrix,
        "style": "lbs",
    }
    loaded = load_pickle(stored(tmp_path, dump_python2(content, protocol)))
    np.testing.assert_array_equal(loaded["x"], values)
    np.testing.assert_array_equal(loaded["part"], values[..., ::2])
    np.testing.assert_array_equal(loaded["plain"], values)
    np.testing.assert_array_equal(loaded["J"].toarray(), matrix.toarray())
    assert loaded["style"] == "lbs"


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def hostile_calls(sprung: str) -> list[Call]:
    return [
        Call(os.system, f"touch {sprung}"),
        Call(os.mkdir, sprung),
        Call(eval, f"open({sprung!r}, 'w')"),
        Call(exec, f"open({sprung!r}, 'w')"),
        Call(open, sprung, "w"),
        Call(subprocess.Popen, ["touch", sprung]),
        Call(getattr, "a", "join"),
        Call(__import__, "antigravity"),
        Call(np.load, sprung, None, True),
        Call(np.save, sprung, ARRAYS[0]),
        Call(np.fromfile, sprung),
        Call(scipy.sparse.save_npz, sprung, scipy.sparse.eye(3)),
        Call(pickle.loads, pickle.dumps(Call(os.mkdir, sprung))),
    ]


@pytest.mark.parametrize("number", range(len(hostile_calls(""))))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_calls_are_refused_and_not_run(tmp_path: Path, number: int, protocol: int) -> None:
    sprung = tmp_path / "sprung"
    call = hostile_calls(str(sprung))[number]
    path = stored(tmp_path, pickle.dumps({"v_template": ARRAYS[0], "extra": [call]}, protocol))
    with pytest.raises(InputError, match=rf"file\.pkl: .*would need .*{call.call[0].__name__}.*only numpy arrays"):
        load_pickle(path)
    assert not sprung.exists()


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def assembled(*operations: bytes) -> bytes:
    return b"\x80\x04" + b"".join(operations) + b"."


NDARRAY = b"cnumpy\nndarray\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
DTYPE = b"cnumpy\ndtype\n"
CSC = b"cscipy.sparse.csc\ncsc_matrix\n"


def array_with(dtype_text: str, dtype_state: bytes, shape: bytes, content: bytes) -> bytes:
    """An array whose state is free to lie."""
    dtype = DTYPE + short(dtype_text) + b"K\x00K\x01\x87R" + dtype_state + b"b"
    return assembled(
        RECONSTRUCT, NDARRAY, b"K\x00\x85", b"C\x01b", b"\x87R", b"(K\x01", shape, dtype, b"\x89", content, b"tb"
    )


ADDRESSES = b"C\x08" + struct.pack("<Q", 0xDEADBEEF)
PLAIN_STATE = b"(K\x03" + short("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
#: A record with an object field that claims, in its flags, to hold plain bytes.
LYING_FIELDS = (
    b"(K\x03" + short("|") + b"N" + short("a") + b"\x85" + b"}" + short("a") + DTYPE + short("O8")
    + b"K\x00K\x01\x87RK\x00\x86s" + b"K\x08K\x01K\x00t"
)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array_with("O8", PLAIN_STATE, b"K\x01\x85", ADDRESSES), "array of objects"),
        (array_with("V8", LYING_FIELDS, b"K\x01\x85", ADDRESSES), "array of records"),
        (
            array_with("f8", PLAIN_STATE, b"K\x02\x85", ADDRESSES),
            r"8 bytes for an array of type <f8 and shape \(2,\)",
        ),
        (array_with("f8", PLAIN_STATE, b"J\xff\xff\xff\xff\x85", ADDRESSES), r"shape \(-1,\)"),
        (array_with("m8[s]", PLAIN_STATE, b"K\x01\x85", ADDRESSES), "of the type"),
        (assembled(RECONSTRUCT, NDARRAY, b"K\x00\x85", b"C\x01b", b"\x87R"), "pickle of arrays"),
        (assembled(CSC), "a class where an array"),
        # State set on a class instead of an instance, to change it for later readers.
        (assembled(CSC, b"N}", short("meaning"), short("x"), b"s\x86b"), "__setstate__"),
        (assembled(CSC, b")\x81}", short("data"), b"K\x01sb"), "pickle of arrays"),
        (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
        (b"(S'true'\nios\nsystem\n.", r"os\.system"),
        (assembled(short("os"), short("path.join"), b"\x93"), r"os\.path\.join"),
        (assembled(short("numpy"), short("dtype.__new__"), b"\x93"), r"numpy\.dtype\.__new__"),
        (assembled(short("chumpy.utils"), short("os.system"), b"\x93"), r"chumpy\.utils\.os\.system"),
        (assembled(b"]\x94h\x00a"), "holds itself"),
        (assembled(b"](" * 20_000, b"e" * 20_000)[:-1] + b".", "pickle of arrays"),
        (b"Pname\n.", "persistent"),
        (b"\x80\x05\x95", "pickle of arrays"),
        (b"", "Ran out of input"),
        (b"PK\x03\x04 not a pickle", "pickle of arrays"),
    ],
)
def test_lies_and_damage_are_told(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_pickle(stored(tmp_path, content))


def test_sparse_matrices_with_indices_outside_are_refused(tmp_path: Path) -> None:
    matrix = scipy.sparse.random(5, 9, 0.3, "csc", random_state=0)
    matrix.indices = matrix.indices + 1000
    with pytest.raises(InputError, match="indices"):
        load_pickle(stored(tmp_path, pickle.dumps(matrix)))


def test_truncated_anywhere(tmp_path: Path) -> None:
    content = pickle.dumps({"a": ARRAYS[0], "J": scipy.sparse.eye(4, format="csc")}, 2)
    for length in range(0, len(content), 7):
        with pytest.raises(InputError):
            load_pickle(stored(tmp_path, content[:length]))


def test_random_damage_never_raises_anything_else(tmp_path: Path) -> None:
    content = {"a": ARRAYS[0], "J": scipy.sparse.eye(4, format="csc"), "s": np.float32(2), "t": ("x", b"y")}
    stored_contents = [pickle.dumps(content, protocol) for protocol in (0, 2, 4)]
    stored_contents.append(dump_python2({"x": Chumpy(ARRAYS[0]), "J": content["J"]}))
    generator = np.random.default_rng(0)
    for _ in range(600):
        damaged = bytearray(stored_contents[generator.integers(4)])
        for place in generator.integers(0, len(damaged), 2):
            damaged[place] = generator.integers(256)
        with contextlib.suppress(InputError):
            load_pickle(stored(tmp_path, bytes(damaged)))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_pickle(tmp_path / "none.pkl")
    with pytest.raises(InputError, match="directory"):
        load_pickle(tmp_path)


def test_a_computed_chumpy_array_is_told_apart(tmp_path: Path) -> None:
    content = dump_python2({"J": Chumpy(ARRAYS[0])}, 2).replace(b"x", b"y")
    assert load_pickle(stored(tmp_path, content))["J"] == NotStored("chumpy Ch")
    assert "chumpy" not in sys.modules


def _memo_far_out() -> bytes:
    return b"\x80\x02Nr" + (2 * 10**9).to_bytes(4, "little") + b"."


def _key_of_nested_tuples() -> bytes:
    nested = b"".join(b"q" + bytes([one]) + b"h" + bytes([one]) + b"\x86" for one in range(40))
    return b"\x80\x02}K\x01" + nested + b"K\x01s."


def _set_of_nested_tuples() -> bytes:
    nested = b"".join(b"q" + bytes([one]) + b"h" + bytes([one]) + b"\x86" for one in range(40))
    return b"\x80\x04\x8f(K\x01" + nested + b"\x90."


def test_an_index_far_out_reserves_no_memory(tmp_path):
    path = tmp_path / "memo.pkl"
    path.write_bytes(_memo_far_out())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert load_pickle(path) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB; it was 32 GB


@pytest.mark.parametrize("content", [_key_of_nested_tuples(), _set_of_nested_tuples()], ids=["dict", "set"])
def test_keys_whose_hash_takes_for_ever_are_refused(tmp_path, content):
    path = tmp_path / "nested.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="other than names and numbers"):
        load_pickle(path)


@pytest.mark.parametrize("opcode", [pickle.BYTEARRAY8, pickle.BINUNICODE8, pickle.BINBYTES8, pickle.FRAME])
def test_a_claimed_length_reserves_no_memory(tmp_path, opcode):
    path = tmp_path / "long.pkl"
    path.write_bytes(b"\x80\x05" + opcode + (4 * 10**9).to_bytes(8, "little") + b"few bytes.")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="Ran out of input"):
        load_pickle(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
