"""Translates kernels from PTX to C++: a function that runs one thread to its end. `runtime.h` has what it calls.

Semantics: the PTX ISA manual, section 9.7. An unknown instruction or variant is an error: nothing is guessed.
"""

import re
from collections.abc import Callable

from tests.cuda.ptx.listing import Kernel

INTEGERS = {f"{s}{n}": f"{'int' if s == 's' else 'uint'}{n}_t" for s in "sub" for n in (8, 16, 32, 64)}
FLOATS = {"f32": "float", "f64": "double"}
TYPES = {**INTEGERS, **FLOATS, "pred": "bool"}
REGISTERS = {"r": "b32", "rd": "b64", "f": "f32", "fd": "f64", "p": "pred", "rs": "b16", "temp": "b32"}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
NEGATED = {"neu": "==", "ltu": ">=", "leu": ">", "gtu": "<=", "geu": "<"}  # unordered: true for NaN
BITWISE = {"and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>"}
SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def _unsigned(kind: str) -> str:
    """The unsigned type, whose arithmetic wraps around in C++ as it does in PTX."""
    return "u" + kind[1:]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


class _Translation:
    """One kernel's code. A handler gets an instruction's modifiers, its type and its operands, and returns C++."""

    def __init__(self, kernel: Kernel) -> None:
        self.offsets = {p.name: p.offset for p in kernel.parameters}
        self.registers: set[str] = set()
        self.source = ""  # the statement that is translated, for reports
        self.lines = [self.statement(s) for s in kernel.statements]

    def statement(self, text: str) -> str:
        self.source = _quoted(text.rstrip(";"))
        if text.endswith(":"):
            return f"{text[:-1].replace('$', '')}: ;"
        found = re.fullmatch(r"(?:@(!?)(%p\d+) )?([a-z][\w.:]*)(?: (.*))?;", text)
        assert found, f"unknown statement: {text}"
        negated, predicate, instruction, operands = found.groups()
        condition = f"if ({negated}{self.value(predicate, 'pred')}) " if predicate else ""
        if instruction == "ret":
            return f"{condition}return;"
        if instruction in ("bra", "bra.uni"):
            return f"{condition}goto {operands.replace('$', '')};"
        return f"{condition}{{ {self.instruction(instruction, operands)} }}"

    def instruction(self, instruction: str, operands: str) -> str:
        name, *modifiers = instruction.split(".")
        handler: Callable[[list[str], str, list[str]], str] | None = getattr(self, f"do_{name}", None)
        assert handler and modifiers, f"unknown instruction: {self.source}"
        return handler(modifiers[:-1], modifiers[-1], [x.strip() for x in operands.split(",")])

    def value(self, operand: str, kind: str) -> str:
        """An operand as a C++ expression of a PTX type."""
        if operand.startswith("-%"):
            return f"-({self.value(operand[1:], kind)})"
        if special := re.fullmatch(r"%(tid|ntid|ctaid|nctaid)\.([xyz])", operand):
            return f"uint32_t(thread.{special[1]}.{special[2]})"
        if operand.startswith("%"):
            name, own = self.register(operand)
            if own == kind:
                return name
            same_class = (own in FLOATS) == (kind in FLOATS)
            return f"{TYPES[kind]}({name})" if same_class else f"bits<{TYPES[kind]}>({name})"
        if operand.startswith("0f"):
            return f"bits<float>(0x{operand[2:]}u)"
        if operand.startswith("0d"):
            return f"bits<double>(0x{operand[2:]}ull)"
        return f"{TYPES[kind]}({int(operand)}ll)"

    def register(self, operand: str) -> tuple[str, str]:
        found = re.fullmatch(r"%([a-z]+)(\d*)", operand)
        assert found and found[1] in REGISTERS, f"unknown register: {self.source}"
        name, kind = f"v_{operand[1:]}", REGISTERS[found[1]]
        self.registers.add(f"{TYPES[kind]} {name}{{}};")
        return name, kind

    def assign(self, operand: str, kind: str, expression: str) -> str:
        """Assigns a value of a PTX type; one that is narrower than the register is extended by its sign."""
        name, own = self.register(operand)
        if kind == "pred" or (own in FLOATS) == (kind in FLOATS):
            return f"{name} = {TYPES[own]}({TYPES[kind]}({expression}));"
        return f"{name} = bits<{TYPES[own]}>({TYPES[kind]}({expression}));"

    def address(self, operand: str) -> str:
        found = re.fullmatch(r"\[(%\w+)(?:\+(-?\d+))?\]", operand)
        assert found, f"unknown address: {self.source}"
        return f"{self.register(found[1])[0]} + ({found[2] or 0}ll)"

    def allow(self, modifiers: list[str], *known: list[str]) -> None:
        assert modifiers in known, f"unknown variant: {self.source}"

    # Memory.

    def do_ld(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        if modifiers[0] == "param":
            found = re.fullmatch(r"\[(\w+)(?:\+(\d+))?\]", operands[-1])
            assert found, f"unknown parameter: {self.source}"
            at, size = self.offsets[found[1]] + int(found[2] or 0), int(kind[1:]) // 8
            targets = [x.strip("{} ") for x in operands[:-1]]
            loads = (f"parameter<{TYPES[kind]}>(P + {at + i * size})" for i in range(len(targets)))
            return " ".join(self.assign(x, kind, load) for x, load in zip(targets, loads, strict=True))
        self.allow(modifiers, ["global"], ["global", "nc"], ["volatile"], ["volatile", "global"])
        access = "load_volatile" if "volatile" in modifiers else "load"
        return self.assign(operands[0], kind, f"{access}<{TYPES[kind]}>({self.address(operands[1])}, {self.source})")

    def do_st(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, ["global"])
        value = self.value(operands[1], kind)
        return f"store<{TYPES[kind]}>({self.address(operands[0])}, {value}, {self.source});"

    def do_atom(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, ["global", "add"], ["global", "min"], ["global", "max"])
        value = self.value(operands[2], kind)
        change = f"atomic_{modifiers[1]}<{TYPES[kind]}>({self.address(operands[1])}, {value}, {self.source})"
        return self.assign(operands[0], kind, change)

    # Moves and conversions.

    def do_mov(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, [])
        if operands[0].startswith("{"):
            low, high = (x.strip("{} ") for x in operands[:2])
            parts = self.assign(low, "b32", "uint32_t(whole)") + self.assign(high, "b32", "uint32_t(whole >> 32)")
            return f"const uint64_t whole = {self.value(operands[2], 'b64')}; {parts}"
        if operands[1].startswith("{"):
            low, high = (self.value(x.strip("{} "), "b32") for x in operands[1:])
            return self.assign(operands[0], "b64", f"uint64_t({low}) | uint64_t({high}) << 32")
        return self.assign(operands[0], kind, self.value(operands[1], kind))

    def do_cvta(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.assign(operands[0], kind, self.value(operands[1], kind))  # one address space

    def do_cvt(self, modifiers: list[str], source: str, operands: list[str]) -> str:
        *mode, target = modifiers
        value = self.value(operands[1], source)
        if source in FLOATS and target in INTEGERS:
            self.allow(mode, ["rzi"], ["rni"])
            return self.assign(operands[0], target, f"to_integer_{mode[0]}<{TYPES[target]}>({value}, {self.source})")
        if mode == ["sat"]:
            return self.assign(operands[0], target, f"saturate({value})")
        self.allow(mode, [], ["rn"])
        return self.assign(operands[0], target, f"{TYPES[target]}({value})")

    # Comparisons and selection.

    def do_setp(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        (comparison,) = modifiers
        a, b = self.value(operands[1], kind), self.value(operands[2], kind)
        if comparison in NEGATED:
            return self.assign(operands[0], "pred", f"!({a} {NEGATED[comparison]} {b})")
        if comparison == "equ":
            return self.assign(operands[0], "pred", f"!({a} < {b}) && !({a} > {b})")
        if comparison == "ne" and kind in FLOATS:
            return self.assign(operands[0], "pred", f"{a} < {b} || {a} > {b}")
        return self.assign(operands[0], "pred", f"{a} {COMPARISONS[comparison]} {b}")

    def do_selp(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        a, b, which = self.value(operands[1], kind), self.value(operands[2], kind), self.value(operands[3], "pred")
        return self.assign(operands[0], kind, f"{which} ? {a} : {b}")

    # Arithmetic.

    def binary(self, name: str, modifiers: list[str], kind: str, operands: list[str]) -> str:
        if kind in FLOATS:
            self.allow(modifiers, [], ["rn"])
        else:
            self.allow(modifiers, [], ["lo"])
            kind = _unsigned(kind)
        a, b = self.value(operands[1], kind), self.value(operands[2], kind)
        return self.assign(operands[0], kind, f"{a} {SIGNS[name]} {b}")

    def do_add(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.binary("add", modifiers, kind, operands)

    def do_sub(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.binary("sub", modifiers, kind, operands)

    def do_mul(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        if modifiers != ["wide"]:
            return self.binary("mul", modifiers, kind, operands)
        assert kind in ("s32", "u32"), f"unknown variant: {self.source}"
        wide = f"{kind[0]}64"
        a, b = (f"{TYPES[wide]}({self.value(x, kind)})" for x in operands[1:])
        return self.assign(operands[0], wide, f"{a} * {b}")

    def do_mad(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, ["lo"])
        kind = _unsigned(kind)
        a, b, c = (self.value(x, kind) for x in operands[1:])
        return self.assign(operands[0], kind, f"{a} * {b} + {c}")

    def do_fma(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, ["rn"], ["rm"])
        a, b, c = (self.value(x, kind) for x in operands[1:])
        function = "std::fma" if modifiers == ["rn"] else "fma_down"
        return self.assign(operands[0], kind, f"{function}({a}, {b}, {c})")

    def do_div(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        if kind in FLOATS:
            return self.binary("div", modifiers, kind, operands)
        return self.integer_division("divide", modifiers, kind, operands)

    def do_rem(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.integer_division("remainder", modifiers, kind, operands)

    def integer_division(self, function: str, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, [])
        a, b = self.value(operands[1], kind), self.value(operands[2], kind)
        return self.assign(operands[0], kind, f"{function}({a}, {b}, {self.source})")

    def do_rcp(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, ["rn"], ["approx", "ftz"])
        value = self.value(operands[1], kind)
        if modifiers == ["rn"]:
            return self.assign(operands[0], kind, f"{TYPES[kind]}(1) / {value}")
        return self.assign(operands[0], kind, f"reciprocal_approx({value})")

    def do_sqrt(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, ["rn"])
        return self.assign(operands[0], kind, f"std::sqrt({self.value(operands[1], kind)})")

    def do_ex2(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, ["approx", "ftz"])
        return self.assign(operands[0], kind, f"exp2_approx({self.value(operands[1], kind)})")

    def do_neg(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        if kind in FLOATS:
            return self.assign(operands[0], kind, f"-({self.value(operands[1], kind)})")
        return self.assign(operands[0], _unsigned(kind), f"0 - {self.value(operands[1], _unsigned(kind))}")

    def do_abs(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.assign(operands[0], kind, f"std::abs({self.value(operands[1], kind)})")

    def extreme(self, name: str, kind: str, operands: list[str]) -> str:
        function = f"std::f{name}" if kind in FLOATS else f"std::{name}<{TYPES[kind]}>"
        return self.assign(
            operands[0], kind, f"{function}({self.value(operands[1], kind)}, {self.value(operands[2], kind)})"
        )

    def do_min(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, [])
        return self.extreme("min", kind, operands)

    def do_max(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        self.allow(modifiers, [])
        return self.extreme("max", kind, operands)

    # Bits.

    def bitwise(self, name: str, kind: str, operands: list[str]) -> str:
        a, b = self.value(operands[1], kind), self.value(operands[2], kind)
        return self.assign(operands[0], kind, f"{a} {BITWISE[name]} {b}")

    def do_and(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.bitwise("and", kind, operands)

    def do_or(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.bitwise("or", kind, operands)

    def do_xor(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        return self.bitwise("xor", kind, operands)

    def do_not(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        sign = "!" if kind == "pred" else "~"
        return self.assign(operands[0], kind, f"{sign}{self.value(operands[1], kind)}")

    def do_shl(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        assert 0 <= int(operands[2]) < int(kind[1:]), f"unknown variant: {self.source}"
        return self.bitwise("shl", kind, operands)

    def do_shr(self, modifiers: list[str], kind: str, operands: list[str]) -> str:
        assert 0 <= int(operands[2]) < int(kind[1:]), f"unknown variant: {self.source}"
        return self.bitwise("shr", kind, operands)


def translate(kernels: list[Kernel]) -> str:
    """A C++ file with the kernels, which registers them by their names."""
    parts = ['#include "runtime.h"\n\nnamespace ptx {\nnamespace {']
    for i, kernel in enumerate(kernels):
        code = _Translation(kernel)
        body = "\n    ".join((*sorted(code.registers), *code.lines))
        parts.append(f"void kernel_{i}([[maybe_unused]] const unsigned char* P) {{\n    {body}\n}}")
        sizes = ", ".join(f"{{{p.offset}, {p.size}}}" for p in kernel.parameters)
        parts.append(f'const Registered r_{i}{{"{kernel.name}", kernel_{i}, {kernel.max_threads}, {{{sizes}}}}};')
    return "\n\n".join((*parts, "}  // namespace\n}  // namespace ptx\n"))
