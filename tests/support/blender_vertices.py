"""Run by a Python that has `bpy`: imports a file into Blender and writes what it sees at a frame.

    python blender_vertices.py FILE FPS FRAME OUT.npz

OUT has, for each mesh by name, its vertices in metres with Y up, as the file has them; `smooth:<mesh>`, the share of
faces that are shaded smoothly; `colour:<mesh>`, for some corners their UV and the colour of the texture there.
"""

import sys
from typing import Any

import bpy  # type: ignore[import-not-found]
import numpy as np

path, fps, frame, out = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
bpy.ops.wm.read_factory_settings(use_empty=True)
render = bpy.context.scene.render
render.fps, render.fps_base = round(fps * 10), 10.0
if path.endswith(".glb"):  # its importer knows no fractions of a rate; keys are then at milliseconds
    render.fps, render.fps_base, frame = 1000, 1.0, round(1000 * frame / fps)
(bpy.ops.import_scene.gltf if path.endswith(".glb") else bpy.ops.wm.usd_import)(filepath=path)
bpy.context.scene.frame_set(frame)
graph = bpy.context.evaluated_depsgraph_get()
arrays: dict[str, Any] = {}
for item in bpy.context.scene.objects:
    if item.type != "MESH":
        continue
    shown = item.evaluated_get(graph)
    points = np.array([(shown.matrix_world @ vertex.co)[:] for vertex in shown.data.vertices])
    arrays[item.name] = np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=1)
    arrays[f"smooth:{item.name}"] = np.mean([face.use_smooth for face in shown.data.polygons])
    if item.data.materials:
        nodes = item.data.materials[0].node_tree.nodes
        image = next(node.image for node in nodes if node.type == "TEX_IMAGE")
        width, height = image.size
        pixels = np.array(image.pixels[:]).reshape(height, width, -1)  # Blender's first row is v = 0
        uv = np.array([corner.uv[:] for corner in item.data.uv_layers[0].data])[::997]
        column, row = (np.minimum(uv * [width, height], [width - 1, height - 1])).astype(int).T
        arrays[f"uv:{item.name}"], arrays[f"colour:{item.name}"] = uv, pixels[row, column, :3]
np.savez(out, **arrays)
