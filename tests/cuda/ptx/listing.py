"""Reads the kernels of a PTX file, as far as nvcc writes it for csrc/cuda: no calls, no barriers, no shared memory."""

import re
from dataclasses import dataclass, replace

MAX_THREADS = 1024  # of a block, where a kernel does not say


@dataclass(frozen=True)
class Parameter:
    """Where a kernel's parameter lies in its parameter memory, in bytes."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Kernel:
    """One entry; `statements` are labels `$L1:` and instructions `add.rn.f32 %f1, %f2, %f3;`, in their order."""

    name: str
    parameters: tuple[Parameter, ...]
    max_threads: int
    statements: tuple[str, ...]


def read_kernels(text: str) -> list[Kernel]:
    """The kernels of a PTX file."""
    text = re.sub(r"//.*", "", text)
    kernels = []
    for entry in re.finditer(r"\.entry\s+(\w+)\s*\((.*?)\)(.*?)\n\{\n(.*?)\n\}\n", text, re.DOTALL):
        name, parameters, directives, body = entry.groups()
        limit = re.search(r"\.maxntid\s+(\d+)", directives)
        lines = (" ".join(line.split()) for line in body.splitlines())
        statements = tuple(s for s in lines if s and s not in "{}" and not s.startswith((".reg", ".pragma")))
        kernels.append(Kernel(name, _read_parameters(parameters), int(limit[1]) if limit else MAX_THREADS, statements))
    return kernels


def _read_parameters(text: str) -> tuple[Parameter, ...]:
    parameters: list[Parameter] = []
    end = 0
    for declaration in text.split(","):
        found = re.fullmatch(r"\s*\.param\s+(?:\.align\s+(\d+)\s+)?\.[a-z](\d+)\s+(\w+)(?:\[(\d+)\])?\s*", declaration)
        assert found, f"unknown parameter: {declaration}"
        align, bits, name, count = found.groups()
        size = int(bits) // 8 * int(count or 1)
        unit = int(align or size)
        end = (end + unit - 1) // unit * unit
        parameters.append(Parameter(name, end, size))
        end += size
    return tuple(parameters)


ARITHMETIC = re.compile(r"(add|sub|mul)\.(f32|f64) (\S+), (\S+), (\S+);")


def contractible(kernel: Kernel) -> list[str]:
    """The products and sums that ptxas may contract into fused multiply-adds: those without a rounding mode."""
    return [s for s in kernel.statements if ARITHMETIC.fullmatch(s)]


def contract(kernel: Kernel, prefer: int) -> Kernel:
    """The kernel with fused multiply-adds wherever ptxas may make them.

    A product is fused into the sum that is its only use, within a basic block. Which one is fused in a sum of two
    products is up to ptxas; here it is operand `prefer`, 0 or 1.
    """
    uses: dict[str, int] = {}
    for statement in kernel.statements:
        for register in re.findall(r"%fd?\d+", statement):
            uses[register] = uses.get(register, 0) + 1  # its definition included
    statements = list(kernel.statements)
    products: dict[str, tuple[int, str, str]] = {}  # of the basic block: place and factors
    for i, statement in enumerate(kernel.statements):
        if statement.endswith(":") or statement.startswith(("@", "bra")):
            products = {}
        found = ARITHMETIC.fullmatch(statement)
        if not found:
            continue
        operation, kind, target, a, b = found.groups()
        if operation == "mul":
            if uses[target] == 2:
                products[target] = i, a, b
            continue
        operands = [x for x in ((a, b) if prefer == 0 else (b, a)) if x in products]
        if not operands:
            continue
        fused = operands[0]
        place, p, q = products.pop(fused)
        if operation == "add":
            terms = p, q, b if fused == a else a
        else:
            terms = (p, q, f"-{b}") if fused == a else (f"-{p}", q, a)
        statements[i] = f"fma.rn.{kind} {target}, {', '.join(terms)};"
        statements[place] = ""
    return replace(kernel, statements=tuple(s for s in statements if s))
