"""Listing and building the models that come with headfit, and the contact sheet of any head."""

import numpy as np
import pytest
import torch
from PIL import Image

from headfit import cli
from headfit.errors import HeadfitError
from headfit.head import HeadModel, load
from headfit.modelling import build, catalog
from headfit.modelling.contact_sheet import CAPTION, POSES, Sheet, contact_sheet, palette, posed

CELL = 48


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


def wedge(**more) -> HeadModel:
    """A head of two triangles that knows next to nothing."""
    one = {
        "mean": np.array([[-0.1, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0.05, 0.1]]),
        "identity_basis": np.zeros((0, 4, 3)),
        "expression_basis": np.zeros((0, 4, 3)),
        "skinning_weights": np.ones((4, 1)),
        "pivots": np.zeros((0, 3)),
        "pivot_basis": np.zeros((0, 0, 3)),
        "part_centres": np.zeros((0, 3)),
        "part_centre_basis": np.zeros((0, 0, 3)),
        "uvs": np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]]),
        "landmark_bary": np.zeros((0, 3)),
        "cage_stiffness": np.ones(4),
        "faces": np.array([[0, 1, 3], [1, 2, 3]]),
        "faces_uv": np.array([[0, 1, 2], [0, 2, 3]]),
        "cage_faces": np.array([[0, 1, 3], [1, 2, 3]]),
        "face_labels": np.zeros(2),
        "face_parts": np.zeros(2),
        "landmark_faces": np.zeros(0),
        "cage_rigid_part": np.full(4, -1),
        "neck_loop": np.zeros(0),
        "label_names": np.array(["skin"]),
        "part_names": np.array(["skin"]),
        "joint_names": np.zeros(0, np.str_),
        "expression_names": np.zeros(0, np.str_),
        "rigid_part_names": np.zeros(0, np.str_),
        "joint_parents": np.zeros(0),
        "subdivision_data": np.ones(4),
        "subdivision_indices": np.arange(4),
        "subdivision_indptr": np.arange(5),
    }
    return HeadModel(one | more)


@pytest.mark.slow
def test_the_sheet_has_a_row_for_each_way_of_looking(head, tmp_path):
    contact_sheet(head, tmp_path / "sheet.png", cell=CELL)
    picture = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    row = CAPTION + round(1.25 * CELL)
    assert picture.shape[1] == len(POSES) * CELL
    assert picture.shape[0] > 6 * row + picture.shape[1] // 2, "front, side, mouth, part, label, people, and the layout"
    cells = picture[: 6 * row].reshape(6, row, len(POSES), CELL, 3).swapaxes(1, 2)[:, :, CAPTION:].astype(int)
    for number in range(1, len(POSES)):
        assert np.abs(cells[2, number] - cells[2, 0]).max() > 30 or number == 3, "every pose but the blink shows there"
    assert np.abs(cells[0, 3] - cells[0, 0]).max() > 30, "the blink shows on the face"
    people = cells[5, :3]
    assert min(np.abs(people[i] - people[j]).mean() for i, j in ((0, 1), (0, 2), (1, 2))) > 1


@pytest.mark.slow
def test_colours_of_parts_and_labels_are_those_of_the_legend(head):
    sheet = Sheet(head, CELL)
    for colours, names, of_face in (
        (sheet.labels, head.label_names, head.face_labels),
        (sheet.parts, head.part_names, head.face_parts),
    ):
        assert torch.equal(colours, palette(len(names))[of_face])
        assert torch.pdist(palette(len(names))).min() > 0.08, "two of them look the same"


def test_a_head_that_knows_next_to_nothing_gets_a_sheet_too(tmp_path):
    contact_sheet(wedge(), tmp_path / "sheet.png", cell=CELL)
    assert Image.open(tmp_path / "sheet.png").size[0] == CELL, "one pose: neutral"


def test_the_jaw_opens_by_its_joint_where_there_is_no_unit_for_it():
    jaw = {
        "joint_names": np.array(["jaw"]),
        "joint_parents": np.array([-1]),
        "pivots": np.zeros((1, 3)),
        "pivot_basis": np.zeros((0, 1, 3)),
        "skinning_weights": np.array([[1, 0], [1, 0], [1, 0], [0, 1.0]]),
    }
    head = wedge(**jaw)
    opened = posed(head, POSES[1])
    assert opened is not None and opened[3, 1] < head.mean[3, 1] - 0.02
    assert posed(head, POSES[2]) is None, "it cannot smile"


def test_a_unit_that_the_head_does_not_split_in_halves_is_found():
    smile = {"expression_names": np.array(["mouthSmile"]), "expression_basis": np.full((1, 4, 3), 0.01)}
    head = wedge(**smile)
    torch.testing.assert_close(posed(head, POSES[2]), head.mean + 0.01)


def test_list_names_what_a_model_holds_and_its_licence(head, capsys):
    assert cli.main(["models", "list"]) == 0
    text = capsys.readouterr().out
    for fact in (
        "default",
        f"{head.vertex_count:,} vertices",
        f"{len(head.expression_names)} units",
        ", ".join(head.joint_names),
        "CC0",
    ):
        assert fact in text


@pytest.mark.parametrize("verb", ["list", "show", "build"])
def test_every_option_is_explained(capsys, verb):
    with pytest.raises(SystemExit) as leave:
        cli.main(["models", verb, "--help"])
    assert leave.value.code == 0 and "--debug" in capsys.readouterr().out
    (on_models,) = cli.parser()._subparsers._group_actions[0].choices["models"]._subparsers._group_actions
    assert all(action.help for action in on_models.choices[verb]._actions)


@pytest.mark.slow
def test_build_runs_the_recipe_on_the_source(monkeypatch, tmp_path, capfd):
    models = tmp_path / "models"
    (models / "tiny" / "recipe").mkdir(parents=True)
    (models / "tiny" / "source.txt").write_text("anny==0.6.2\n")
    (models / "tiny" / "recipe" / "__main__.py").write_text(
        "import sys, shutil\n"
        "source, flag, out = sys.argv[1:]\n"
        "assert flag == '--out'\n"
        "text = open(source).read()\n"
        "if text == 'bad': sys.exit('recipe: bad source')\n"
        "open(out, 'w').write(text + ' built')\n"
    )
    monkeypatch.setattr(catalog, "asset_path", lambda name: tmp_path / name)
    source = tmp_path / "source.whl"
    source.write_text("good")
    assert build("tiny", source).read_text() == "good built"
    assert build("tiny", source, tmp_path / "other.npz") == tmp_path / "other.npz"
    source.write_text("bad")
    with pytest.raises(HeadfitError, match=r"recipe of tiny failed on .*source\.whl \(its messages"):
        build("tiny", source)
    assert "recipe: bad source" in capfd.readouterr().err
    with pytest.raises(HeadfitError, match=r"nothing\.whl: no such file; .*pip download --no-deps -r .*source\.txt"):
        build("tiny", tmp_path / "nothing.whl")
    with pytest.raises(HeadfitError, match="no head model named 'huge' with a recipe; known: tiny"):
        build("huge")
    (models / "tiny" / "source.txt").write_text("./no-such-file.whl\n")
    with pytest.raises(HeadfitError, match="pip could not download the source; download it elsewhere"):
        build("tiny")
