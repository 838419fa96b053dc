"""The kernel's source, compiled for CPUs that are not at hand."""

import re

import pytest
from llvmlite import binding, ir

from npbsrn.kernels.counting import emitter

I64, WORDS = ir.IntType(64), ir.IntType(16).as_pointer()

TARGETS = [
    ("avx512", "x86_64-unknown-linux-gnu", "x86-64-v4", "+avx512bitalg", "vpopcntw", "zmm"),
    ("avx2", "x86_64-unknown-linux-gnu", "x86-64-v3", "", "vpshufb", "ymm"),
    ("portable", "x86_64-unknown-linux-gnu", "x86-64-v3", "", "vpshufb", "ymm"),
    ("portable", "x86_64-unknown-linux-gnu", "x86-64-v4", "+avx512bitalg", "vpopcntb", "ymm"),
    ("portable", "aarch64-unknown-linux-gnu", "generic", "", "cnt", r"v\d+\.16b"),
]


def source(name, size, planes, more):
    module = ir.Module()
    kind = ir.FunctionType(ir.VoidType(), [WORDS, WORDS, WORDS, I64, I64, I64, I64])
    function = ir.Function(module, kind, "count")
    builder = ir.IRBuilder(function.append_basic_block())
    bits, words, out, row, plane, tiles, outputs = function.args
    emitter(name)(
        builder, bits, words, out, (row, plane), tiles, outputs, (size, planes), ir.Constant(ir.IntType(1), more)
    )
    builder.ret_void()
    return str(module)


@pytest.mark.parametrize(("name", "triple", "cpu", "features", "instruction", "registers"), TARGETS)
@pytest.mark.parametrize(("size", "planes", "more"), [(3, 3, False), (1, 2, True)])
def test_the_bits_are_counted_by_vectors(name, triple, cpu, features, instruction, registers, size, planes, more):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    module = binding.parse_assembly(source(name, size, planes, more))
    module.triple = triple
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3)
    module.data_layout = str(machine.target_data)
    assembly = machine.emit_assembly(module)
    found = re.findall(rf"^\s*{instruction}\s.*{registers}", assembly, re.MULTILINE)
    # By look-up rows of words pass in a loop, or four nibbles of each plane; else all words stay in registers.
    assert len(found) >= (4 * max(size, planes) if name == "avx2" else size * size * planes)
    assert not re.findall(r"^\s*popcnt", assembly, re.MULTILINE)  # one word after another
