//! The rules.

use std::fmt;

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal),* $(,)?) => {
        /// A rule that a module can violate. Its `Display` is a fixed, short name, such as `use-before-definition`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        pub enum Rule { $($(#[doc = $doc])+ $name),* }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Rule] = &[$(Rule::$name),*];

            /// The rule's short name.
            pub const fn id(self) -> &'static str {
                match self { $(Rule::$name => $id),* }
            }

            /// What the rule says.
            pub const fn doc(self) -> &'static str {
                match self { $(Rule::$name => concat!($($doc),+)),* }
            }
        }
    };
}

rules! {
    // Declarations.
    /// Names are PTX identifiers, and neither reserved words nor names of registers or labels.
    Name = "name",
    /// No name is declared twice in one scope, and none hides a variable of the module that the kernel uses.
    DuplicateName = "duplicate-name",
    /// Arrays are in a space that their scope allows, of a type that can be declared, aligned to a power of two, and have a size.
    Variable = "variable",
    /// Static shared memory of a kernel is at most 48 KiB, constants of a module at most 64 KiB.
    MemorySize = "memory-size",
    /// Parameters are at most 32764 bytes, with alignments that fit.
    Parameter = "parameter",
    /// Launch bounds are possible: no zero, at most 1024 threads, a required shape or a maximum, not both, clusters of at most 8 blocks from sm_90 on.
    LaunchBounds = "launch-bounds",
    /// A kernel declares at most 2^20 registers of a class.
    RegisterCount = "register-count",

    // Structure.
    /// A kernel has at least one block.
    NoBlocks = "no-blocks",
    /// Branches and exits occur only at the end of a block.
    EarlyTerminator = "early-terminator",
    /// Control does not fall off the end of a kernel.
    FallsOff = "falls-off",
    /// A block after a fall-through is also a branch target; otherwise it would be part of the block before it.
    SplitBlock = "split-block",
    /// A branch names a block of its kernel.
    Label = "label",

    // Operands.
    /// An instruction has as many operands as its form.
    OperandCount = "operand-count",
    /// An operand is of the kind that its slot accepts: register, constant, address, label, predicate.
    OperandKind = "operand-kind",
    /// A register's class matches the operand's type.
    OperandType = "operand-type",
    /// A register is declared.
    Register = "register",
    /// A constant is in the range of its type and of the instruction.
    ConstantRange = "constant-range",
    /// An instruction does not write one register twice.
    DuplicateResult = "duplicate-result",
    /// A guard is a predicate register.
    Guard = "guard",

    // Memory.
    /// A symbol is declared.
    Symbol = "symbol",
    /// A symbol is in the space that the instruction accesses.
    Space = "space",
    /// An address register has 64 bits, or 32 in shared and local space.
    AddressRegister = "address-register",
    /// An access through a symbol is inside the declared object.
    OutOfBounds = "out-of-bounds",
    /// No thread accesses memory at an index that certainly wrapped in 32 bits.
    IndexWraps = "index-wraps",
    /// An access is aligned to its size, as far as its address is known.
    Misaligned = "misaligned",
    /// Nothing writes to constants or parameters.
    ReadOnlySpace = "read-only-space",
    /// Data read through the read-only path (`.nc`) is not written in the same kernel.
    ReadOnlyData = "read-only-data",

    // Target.
    /// The target has the instruction.
    TargetInstruction = "target-instruction",
    /// The target has the special register.
    TargetRegister = "target-register",
    /// The PTX version that a file states has its target, its instructions and its directives.
    PtxVersion = "ptx-version",

    // Flow.
    /// The analyses of a kernel stay within their limits.
    Complexity = "complexity",
    /// A register is defined on every path to a use that something depends on.
    UseBeforeDefinition = "use-before-definition",
    /// An aligned barrier is reached by all threads that it waits for: not under a condition that is divergent in the block (or, with a thread count, in the warp).
    DivergentBarrier = "divergent-barrier",
    /// A barrier has a number from 0 to 15, and its thread count is a multiple of 32 that the block can have.
    BarrierCount = "barrier-count",
    /// The mask of a warp operation names at least one lane, all lanes that execute it, and others only if they have exited.
    LaneMask = "lane-mask",
    /// A warp-wide matrix instruction is executed by the whole warp.
    DivergentMatrix = "divergent-matrix",
    /// Groups of asynchronous copies are committed before they are waited for.
    AsyncGroup = "async-group",
    /// An mbarrier is an 8-byte aligned shared object, its uses are in bounds, and its count is valid.
    Mbarrier = "mbarrier",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn the_header_lists_every_rule_as_it_is() {
        let header = include_str!("mod.rs");
        for rule in Rule::ALL {
            let row = format!("//! | `{rule}` | {} |", rule.doc().trim());
            assert!(header.contains(&row), "the header of verify/mod.rs lacks: {row}");
        }
        assert_eq!(header.matches("\n//! | `").count(), Rule::ALL.len());
    }
}
