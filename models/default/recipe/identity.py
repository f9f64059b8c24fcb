"""Random adult heads from MakeHuman's own directions, and their principal components."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from makehuman import Source

LOCAL_FOLDERS = ["eyes", "mouth", "ears", "nose", "head", "neck", "cheek", "chin", "forehead", "eyebrows", "asym"]
OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
    ("l", "r"),
)
RACES, GENDERS = ("african", "asian", "caucasian"), ("female", "male")
AGES, LEVELS = ("child", "young", "old"), ("min", "average", "max")

LOCAL_SIGMA = 0.16  # standard deviation of a signed local direction; 0.35 gives caricatures
ASYMMETRY = 0.25  # share of LOCAL_SIGMA that is independent on the left and the right side
AGE_RANGE = (0.4, 0.9)  # 0: child, 0.5: young, 1: old
SAMPLES, COMPONENTS = 1200, 100


@dataclass(frozen=True)
class Directions:
    """Displacements `[H,3]` (metres) of the handles (every base.obj vertex that the head depends on) by target."""

    local: dict[str, np.ndarray]
    macro: dict[tuple[str, ...], np.ndarray]


def read_directions(source: Source, handles: np.ndarray, vertex_count: int) -> Directions:
    local, macro = {}, {}
    for folder in LOCAL_FOLDERS:
        for name in source.target_names(folder):
            stem = name.rsplit("/", 1)[1].split(".")[0]
            if not stem.startswith("asymm-"):  # breast and trunk
                local[stem] = source.target(name, vertex_count)[handles]
    prefix = source.target_names("macrodetails")[0].rsplit("/", 1)[0] + "/"
    for race, gender, age in product(RACES, GENDERS, AGES):
        name = f"{prefix}{race}-{gender}-{age}.target.gz"
        macro[race, gender, age] = source.target(name, vertex_count)[handles]
    for gender, age, muscle, weight in product(GENDERS, AGES, LEVELS, LEVELS):
        name = f"{prefix}universal-{gender}-{age}-{muscle}muscle-{weight}weight.target.gz"
        macro[gender, age, muscle, weight] = source.target(name, vertex_count)[handles]
    return Directions(local, macro)


def signed_pairs(names: list[str]) -> list[tuple[str | None, str]]:
    """Targets paired into signed directions: (negative side or None, positive side)."""
    pairs: list[tuple[str | None, str]] = []
    left = set(names)
    for name in names:
        for low, high in OPPOSITES:
            if name.endswith("-" + low) and name[: -len(low)] + high in left:
                other = name[: -len(low)] + high
                pairs.append((name, other))
                left -= {name, other}
                break
    return pairs + [(None, name) for name in names if name in left]


def macro_factors(directions: Directions, race: np.ndarray, male: float, age: float, muscle: float, weight: float):
    """Blend factors `[M]` of the macro targets; `age`, `muscle` and `weight` in [0, 1] (age 0: child, 0.5: young)."""
    share = dict(zip(GENDERS, (1 - male, male), strict=True))
    share |= dict(zip(AGES, _hat(age), strict=True)) | dict(zip(RACES, race, strict=True))
    by_muscle = dict(zip(LEVELS, _hat(muscle), strict=True))
    by_weight = dict(zip(LEVELS, _hat(weight), strict=True))
    factors = []
    for key in directions.macro:
        if len(key) == 3:
            factors.append(share[key[0]] * share[key[1]] * share[key[2]])
        else:
            factors.append(share[key[0]] * share[key[1]] * by_muscle[key[2]] * by_weight[key[3]])
    return np.array(factors)


def _hat(x: float) -> tuple[float, float, float]:
    """Piecewise-linear weights of three levels placed at 0, 0.5 and 1."""
    return max(1 - 2 * x, 0.0), 1 - abs(2 * x - 1), max(2 * x - 1, 0.0)


def average_adult(directions: Directions) -> np.ndarray:
    """Displacement `[H,3]` of the mean from base.obj: equal shares of races and sexes, at the samples' mean age."""
    age = sum(AGE_RANGE) / 2
    factors = macro_factors(directions, np.full(3, 1 / 3), male=0.5, age=age, muscle=0.5, weight=0.5)
    return np.tensordot(factors, np.stack(list(directions.macro.values())), 1)


def local_factors(pairs: list[tuple[str | None, str]], column: dict[str, int], rng: np.random.Generator):
    """Random factors of the local targets `[L]`: signed Gaussians, nearly equal on the two sides of the face."""
    factors = np.zeros(len(column))
    both_sides: dict[str, float] = {}
    for low, high in pairs:
        key = high[2:] if high[:2] in ("l-", "r-") else high
        common = both_sides.setdefault(key, rng.normal())
        value = LOCAL_SIGMA * (np.sqrt(1 - ASYMMETRY**2) * common + ASYMMETRY * rng.normal())
        factors[column[low if low is not None and value < 0 else high]] = abs(value)
    return factors


def sample_heads(directions: Directions, rng: np.random.Generator, count: int = SAMPLES) -> np.ndarray:
    """Displacements from base.obj of random adults, `[count,H,3]`."""
    names = list(directions.local)
    pairs, column = signed_pairs(names), {name: i for i, name in enumerate(names)}
    local = np.stack([local_factors(pairs, column, rng) for _ in range(count)])
    macro = np.stack(
        [
            macro_factors(
                directions,
                race=rng.dirichlet(np.ones(len(RACES))),
                male=rng.uniform(),
                age=rng.uniform(*AGE_RANGE),
                muscle=rng.uniform(0.2, 0.8),
                weight=rng.uniform(0.2, 0.8),
            )
            for _ in range(count)
        ]
    )
    fields = np.stack([*directions.local.values(), *directions.macro.values()])
    return np.tensordot(np.concatenate([local, macro], 1), fields, 1)


def similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None):
    """Scale, rotation R and translation t of target = scale R source + t by weighted least squares (Umeyama 1991)."""
    w = np.ones(len(source)) if weights is None else weights
    w = w / w.sum()
    mean_s, mean_t = w @ source, w @ target
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd((t * w[:, None]).T @ s)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = (d * sign).sum() / (w @ (s**2).sum(1))
    return scale, rotation, mean_t - scale * rotation @ mean_s


@dataclass(frozen=True)
class Components:
    """`coefficients [N,K]` of the samples, columns of unit variance; `explained [K]`: cumulative variance ratio."""

    coefficients: np.ndarray
    explained: np.ndarray

    def basis(self, fields: np.ndarray) -> np.ndarray:
        """Least-squares basis `[K,...]` of any linear quantity `[N,...]` of the samples, after subtracting its mean."""
        n = len(self.coefficients)
        centred = (fields - fields.mean(0)).reshape(n, -1)
        return (self.coefficients.T @ centred / (n - 1)).reshape(-1, *fields.shape[1:])


def principal_components(fields: np.ndarray, weights: np.ndarray) -> Components:
    """PCA of sample displacements `[N,H,3]` with a weight (area) per vertex `[H]`."""
    n = len(fields)
    flat = ((fields - fields.mean(0)) * np.sqrt(weights)[:, None]).reshape(n, -1)
    u, s, _ = np.linalg.svd(flat @ flat.T / (n - 1))
    explained = np.cumsum(s) / s.sum()
    return Components(u[:, :COMPONENTS] * np.sqrt(n - 1), explained[:COMPONENTS])
