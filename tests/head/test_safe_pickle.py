"""A pickle is a program; ours are read without running it."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from headfit.errors import HeadfitError
from headfit.head import load
from headfit.head.importers.safe_pickle import load_arrays


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(mark: Path) -> dict[str, object]:
    shell = f"touch {mark}"
    return {
        "posix.system": Call(os.system, shell),
        "builtins.eval": Call(eval, f"open({str(mark)!r}, 'w')"),
        "builtins.exec": Call(exec, f"open({str(mark)!r}, 'w')"),
        "io.open": Call(open, str(mark), "w"),
        "builtins.getattr": Call(getattr, np.ndarray, "tofile"),
        "numpy.memmap": Call(np.memmap, str(mark), "u1", "w+", 0, (4,)),
    }


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("name", sorted(attacks(Path("mark"))))
@pytest.mark.parametrize("nested", [False, True])
def test_a_malicious_pickle_does_not_run_and_is_refused(tmp_path, name, protocol, nested):
    mark = tmp_path / "mark"
    attack = attacks(mark)[name]
    content = {"v_template": np.zeros((3, 3)), "f": [{"deep": (attack,)}]} if nested else attack
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    wanted = name.split(".")[1]
    with pytest.raises(HeadfitError, match=rf"{path}.*refused.*\.{wanted}"):
        load(path)
    assert not mark.exists()


def test_the_attacks_do_run_in_the_ordinary_reader(tmp_path):
    """The test above could not fail if the attacks were harmless."""
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(attacks(mark)["posix.system"]))
    assert mark.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cos\nsystem\n(S'touch mark'\ntR.",
        b"(S'touch mark'\nios\nsystem\n.",  # the INST opcode
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # a dotted name under an admitted one
        b"Psomething outside\n.",
        b"\x80\x02\x82\x01.",  # the extension registry
        b"\x80\x02c_codecs\nencode\nN}U\x0c__defaults__)s\x86b.",  # sets an attribute of a function
        b"\x80\x02c_codecs\nencode\n}U\x01xK\x01sb.",
        b"\x80\x02cnumpy\nndarray\nN}U\x05stateK\x01s\x86b.",  # and of a class
    ],
)
def test_crafted_opcodes_are_refused(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pkl"
    path.write_bytes(payload)
    with pytest.raises(HeadfitError, match=str(path)):
        load_arrays(path)
    assert os.listdir(tmp_path) == ["model.pkl"]


@pytest.mark.parametrize("what", ["type", "indices", "shape"])
def test_forged_arrays_are_refused(tmp_path, what):
    """Bytes as Python objects would be pointers; indices beyond a sparse matrix would be written to."""
    matrix = sp.csr_matrix(np.eye(3))
    array = np.arange(3.0)
    path = tmp_path / "model.pkl"
    if what == "type":
        forged = pickle.dumps({"x": array}, protocol=2).replace(b"f8", b"O8")
        path.write_bytes(forged)
    else:
        if what == "indices":
            matrix.indices[1] = 10**6
        else:
            matrix._shape = (3, 1)
        path.write_bytes(pickle.dumps({"x": matrix}))
    with pytest.raises(HeadfitError, match=r"x: (an array of Python objects|not a sparse matrix)"):
        load_arrays(path)


def test_holders_cannot_be_made_of_other_classes(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"ccopy_reg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.")
    with pytest.raises(HeadfitError, match="a new object of"):
        load_arrays(path)


@pytest.mark.parametrize("protocol", [0, 1, 2, 5])
def test_arrays_sparse_matrices_and_chumpy_arrays_are_read(tmp_path, chumpy, protocol):
    numbers = np.arange(6.0).reshape(2, 3)
    content = {
        "plain": numbers,
        "fortran": np.asfortranarray(numbers),
        "integers": np.arange(4, dtype=np.uint32),
        "scalar": np.float32(2.5),
        "csc": sp.csc_matrix(numbers),
        "csr": sp.csr_matrix(numbers),
        "chumpy": chumpy(numbers),
        "text": "lbs",
    }
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = load_arrays(path)
    for key in ("plain", "fortran", "csc", "csr", "chumpy"):
        assert type(found[key]) is np.ndarray
        np.testing.assert_array_equal(found[key], numbers)
    np.testing.assert_array_equal(found["integers"], np.arange(4))
    assert found["scalar"] == 2.5 and found["text"] == "lbs"


def test_an_array_as_python_2_wrote_it(tmp_path):
    """Old module names, and bytes as text of the reader's encoding."""
    data = np.array([1.5, -2.0]).tobytes()
    payload = (
        b"\x80\x02}U\x01xcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U" + bytes([len(data)]) + data + b"tbs."
    )
    path = tmp_path / "model.pkl"
    path.write_bytes(payload)
    np.testing.assert_array_equal(load_arrays(path)["x"], [1.5, -2.0])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([1, 2], "contains a list"),
        ({"x": np.array([object()], dtype=object)}, r"refused|Python objects"),
        ({"x": np.array([[1], "two"], dtype=object)}, "Python objects"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, complaint):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(HeadfitError, match=complaint):
        load_arrays(path)


@pytest.mark.parametrize("kept", [0, 1, 40, 200])
def test_a_damaged_pickle_is_named(tmp_path, kept):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"x": np.zeros(100)})[:kept])
    with pytest.raises(HeadfitError, match="not readable as a pickle of arrays"):
        load_arrays(path)
