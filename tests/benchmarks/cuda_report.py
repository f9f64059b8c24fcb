"""Resources and memory traffic of the CUDA kernels, from the compiler's report: needs nvcc and CMake, no GPU.

For each kernel and architecture: registers, stack frame and spills (all 0, or this script fails), shared memory, and
the occupancy these allow. For each kernel: the bytes it must move per pixel and the time this takes at a bandwidth,
a lower bound for memory-bound kernels, which these are.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The scene of the byte counts: one 1024 x 1024 image in float32 with 3 channels, every pixel covered, by a head of
# FACES faces and VERTICES vertices. The fractions were counted on the default head, 512 pixels high.
PIXELS = 1024 * 1024
CHANNELS = 3
FACES, VERTICES = 47_000, 23_700
FRAGMENTS = 2.0  # per pixel: front and back
RUN = 4.0  # pixels of a column that see one face, out of at most 8 that a thread takes together
TEXELS = (
    1.25  # of two levels per pixel: a footprint of one texel of the finer one, and a quarter as many of the coarser
)
PAIRS_THAT_DIFFER, JUMPS = 0.29, 0.011  # per pixel

WORD = 4  # bytes of a float or an index
MESH = (FACES * 3 * WORD + VERTICES * 3 * WORD) / PIXELS  # read once, then in the cache
ATOMIC = 2 * WORD  # an add reads and writes

# Threads per block, bytes per pixel. Each array counts once per kernel: what is read twice comes from the cache.
KERNELS: dict[str, tuple[int, float]] = {
    # A minimum of 8 bytes, read and written, for each fragment; the depth buffer was filled before.
    "draw_faces": (128, 2 * WORD + MESH + FRAGMENTS * 2 * ATOMIC),
    # The same if all faces are large, and a byte of queue, written and read.
    "draw_tiles": (128, 2 + FRAGMENTS * 2 * ATOMIC),
    # Depth buffer in; index, barycentrics, depth out.
    "resolve": (256, 2 * WORD + MESH + (1 + 3 + 1) * WORD),
    # Index, gradients of barycentrics and depth in; 9 sums per run out.
    "add_face_gradients": (256, (1 + 3 + 1) * WORD + MESH + 9 * ATOMIC / RUN),
    # Index and barycentrics in, image out; attributes of the vertices.
    "blend": (256, (1 + 3 + CHANNELS) * WORD + MESH * CHANNELS / 3),
    # Index in, gradient of the background out; where a face covers the pixel, the gradient of the image is not read.
    "to_background": (256, (1 + CHANNELS) * WORD),
    "to_bary": (256, (1 + CHANNELS + 3) * WORD + MESH * CHANNELS / 3),
    "to_attributes": (256, (1 + 3 + CHANNELS) * WORD + 3 * CHANNELS * ATOMIC / RUN),
    # Index once for rows and once for columns; faces, adjacency and group; at a jump four pixels of image and gradient
    # and the sums of two vertices.
    "move_jumps": (128, 2 * WORD + 2 * MESH + JUMPS * (8 * CHANNELS * WORD + 6 * ATOMIC)),
    # Index, the shares of ten classes in, loss out.
    "compare_labels": (256, (1 + 1) * WORD + 10),
    # uv and index of the pixel in (its neighbours' come from the cache), level out.
    "choose_level": (256, (2 + 1 + 1) * WORD),
    # uv and level in, image out, and the texels.
    "sample": (256, (2 + 1 + CHANNELS) * WORD + TEXELS * CHANNELS * WORD),
    "to_uv": (256, (2 + 1 + CHANNELS + 2) * WORD + TEXELS * CHANNELS * WORD),
    # Additions of neighbouring pixels to the same texel are combined in the cache.
    "to_texels": (256, (2 + 1 + CHANNELS) * WORD + TEXELS * CHANNELS * ATOMIC),
    # Vertices and the edges opposite each in, normals and lengths out.
    "find_normals": (256, (6 * FACES + (1 + 3 + 3 + 1) * VERTICES) * WORD / PIXELS),
    # Normals, lengths and their gradient in, gradients of the sums out.
    "to_sums": (256, (3 + 1 + 3 + 3) * VERTICES * WORD / PIXELS),
    # Vertices, the edges and the gradients of the sums in, gradient out.
    "to_vertices": (256, (6 * FACES + (1 + 3 + 3 + 3) * VERTICES) * WORD / PIXELS),
    # Index, albedo, normal and gloss in, image out.
    "shade_points": (256, (1 + 3 + 4 + 3) * WORD),
    # The gradient of the image in, too, and which pixels rest; the gradients of albedo, normal and gloss out.
    "to_points": (256, (1 + 3 + 4 + 3 + 3 + 4) * WORD + 1),
    # For 16 pixels, the 30 sums of a thread out.
    "to_light": (256, (1 + 3 + 4 + 3) * WORD + 30 * WORD / 16),
    # Vertices, normals and kind in, gloss out.
    "find_gloss": (256, (3 + 3 + 1 + 1) * VERTICES * WORD / PIXELS),
    # The gradient of gloss in, those of vertices and normals out.
    "to_glossy": (256, (3 + 3 + 1 + 1 + 3 + 3) * VERTICES * WORD / PIXELS),
    # For 128 vertices, the gradients of two forms out.
    "to_forms": (256, (3 + 3 + 1 + 1 + 2 * 81 / 128) * VERTICES * WORD / PIXELS),
    # 64-bit sums in, gradient out; only with deterministic sums, for which the other kernels run twice.
    "finish_sums": (256, VERTICES * 3 * 3 * WORD / PIXELS),
}
BANDWIDTHS = (2.0e12, 3.3e12)  # bytes per second: A100, H100


@dataclass(frozen=True)
class Multiprocessor:
    """Limits of a multiprocessor, from the CUDA C++ Programming Guide, technical specifications per compute capability.

    All have 64 K registers, given to warps in units of 256, and to 4 warps at a time.
    """

    warps: int
    blocks: int
    shared: int  # bytes

    def occupancy(self, threads: int, registers: int, shared: int) -> float:
        """Share of the warps that can be resident, as computed by the CUDA toolkit's occupancy calculator."""
        warps = -(-threads // 32)
        per_warp = -(-registers * 32 // 256) * 256
        by_registers = 65536 // per_warp // 4 * 4 // warps
        by_shared = self.shared // (shared + 1024) if shared else self.blocks  # 1 KB of each block is the system's
        return min(self.blocks, self.warps // warps, by_registers, by_shared) * warps / self.warps


MULTIPROCESSORS = {
    "sm_75": Multiprocessor(32, 16, 64 * 1024),
    "sm_80": Multiprocessor(64, 32, 164 * 1024),
    "sm_86": Multiprocessor(48, 16, 100 * 1024),
    "sm_90": Multiprocessor(64, 32, 228 * 1024),
    "sm_100": Multiprocessor(64, 32, 228 * 1024),
    "sm_120": Multiprocessor(48, 24, 100 * 1024),
}


@dataclass(frozen=True)
class Use:
    """Resources of a kernel as reported by ptxas; in bytes, except for the registers."""

    kernel: str  # with its template arguments
    architecture: str
    registers: int
    stack: int
    spills: int
    shared: int

    @property
    def name(self) -> str:
        return self.kernel.split("<")[0]

    @property
    def occupancy(self) -> float:
        threads, _ = KERNELS[self.name]
        return MULTIPROCESSORS[self.architecture].occupancy(threads, self.registers, self.shared)


def compile_kernels(architectures: list[str]) -> str:
    """Build csrc/cuda with CMake in its usual configuration. Returns the output of ptxas."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["-DHEADFIT_CUDA=ON", "-DHEADFIT_CUDA_REPORT=ON"]
        if architectures:
            options.append(f"-DCMAKE_CUDA_ARCHITECTURES={';'.join(f'{a}-real' for a in architectures)}")
        _run("cmake", "-S", ROOT, "-B", folder, *options)
        return _run("cmake", "--build", folder, "--target", "headfit_cuda")


def _run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout)
    return done.stdout


def parse(log: str) -> list[Use]:
    """One `Use` per kernel and architecture; a kernel that several files instantiate is listed once."""
    pattern = re.compile(
        r"Compiling entry function '(\w+)' for '(\w+)'.*?"
        r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
        r"Used (\d+) registers([^\n]*)",
        re.DOTALL,
    )
    found = pattern.findall(log)
    names = subprocess.run(
        ["c++filt"], input="\n".join(f[0] for f in found), capture_output=True, text=True, check=True
    )
    uses = []
    for (_, architecture, stack, stores, loads, registers, rest), name in zip(
        found, names.stdout.splitlines(), strict=True
    ):
        shared = re.search(r"(\d+) bytes smem", rest)
        uses.append(
            Use(
                _short(name),
                architecture,
                int(registers),
                int(stack),
                int(stores) + int(loads),
                int(shared[1]) if shared else 0,
            )
        )
    return sorted(
        set(uses), key=lambda u: (list(KERNELS).index(u.name), u.kernel, list(MULTIPROCESSORS).index(u.architecture))
    )


def _short(name: str) -> str:
    """void a::(anonymous namespace)::kernel<float, a::Loss<float> >(...) -> kernel<float, Loss>"""
    name = re.sub(r"\(anonymous namespace\)|_GLOBAL__N_\w+", "", name)
    name = re.sub(r"\w*::+", "", name).removeprefix("void ").split("(")[0]
    name, _, arguments = name.partition("<")
    return f"{name}<{', '.join(re.sub(r'<.*', '', a).strip(' >') for a in arguments.split(','))}>"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="*", default=[], help="such as 80 120; default: all that are built")
    uses = parse(compile_kernels(parser.parse_args().architectures))
    print(
        f"{'kernel':44}{'arch':8}{'threads':>8}{'registers':>10}{'stack':>7}{'spills':>7}{'shared':>7}{'occupancy':>10}"
    )
    for u in uses:
        print(
            f"{u.kernel:44}{u.architecture:8}{KERNELS[u.name][0]:8}{u.registers:10}{u.stack:7}{u.spills:7}{u.shared:7}"
            f"{u.occupancy:10.0%}"
        )
    print(f"\nfloat32, {CHANNELS} channels, 1024 x 1024 pixels, {FACES} faces, all pixels covered:")
    print(f"{'kernel':24}{'bytes/pixel':>12}" + "".join(f"{f'us at {b / 1e12:.1f} TB/s':>18}" for b in BANDWIDTHS))
    for name, (_, size) in KERNELS.items():
        print(f"{name:24}{size:12.1f}" + "".join(f"{1e6 * size * PIXELS / b:18.1f}" for b in BANDWIDTHS))
    if any(u.stack or u.spills for u in uses):
        sys.exit("a kernel keeps registers or arrays in local memory")


if __name__ == "__main__":
    main()
