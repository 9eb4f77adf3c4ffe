//! The rules.

use std::fmt;

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal),* $(,)?) => {
        /// What a module can violate. Its `Display` is a fixed, short name,
        /// such as `use-before-definition`.
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
    /// Names are PTX identifiers, and neither reserved words nor like registers or labels.
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
    /// Branches and exits stand only at the end of a block.
    EarlyTerminator = "early-terminator",
    /// Control does not fall off the end of a kernel.
    FallsOff = "falls-off",
    /// A block that control falls into is also a branch target, or it would be part of the block before it.
    SplitBlock = "split-block",
    /// A branch names a block of its kernel.
    Label = "label",

    // Operands.
    /// An instruction has as many operands as its form.
    OperandCount = "operand-count",
    /// An operand is of the kind that its place takes: register, constant, address, label, predicate.
    OperandKind = "operand-kind",
    /// A register's class fits the operand's type.
    OperandType = "operand-type",
    /// A register is declared.
    Register = "register",
    /// A constant fits its type and the range that the instruction allows.
    ConstantRange = "constant-range",
    /// An instruction does not write one register twice.
    DuplicateResult = "duplicate-result",
    /// A guard is a predicate register.
    Guard = "guard",

    // Memory.
    /// A symbol is declared.
    Symbol = "symbol",
    /// A symbol lies in the space that the instruction accesses.
    Space = "space",
    /// An address register has 64 bits, or 32 in shared and local space.
    AddressRegister = "address-register",
    /// An access through a symbol stays within what it declares.
    OutOfBounds = "out-of-bounds",
    /// No thread accesses memory at an index that certainly wrapped in 32 bits.
    IndexWraps = "index-wraps",
    /// An access is aligned to its size where its address is known well enough.
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
    /// The PTX version that a file states knows its target, its instructions and its directives.
    PtxVersion = "ptx-version",

    // Flow.
    /// The analyses of a kernel stay within their bounds.
    Complexity = "complexity",
    /// A register is defined on every path to a use that something depends on.
    UseBeforeDefinition = "use-before-definition",
    /// An aligned barrier is reached by all threads that it waits for: not under a condition that differs within the block (or, with a thread count, within the warp).
    DivergentBarrier = "divergent-barrier",
    /// A barrier has a number from 0 to 15, and waits for a multiple of 32 threads that the block can have.
    BarrierCount = "barrier-count",
    /// The mask of a warp operation names at least one lane, all that are there, and others only if they exit.
    LaneMask = "lane-mask",
    /// A warp-wide matrix instruction is executed by the whole warp.
    DivergentMatrix = "divergent-matrix",
    /// Groups of asynchronous copies are committed before they are waited for.
    AsyncGroup = "async-group",
    /// An mbarrier is an 8-byte aligned shared object that its uses address within bounds, with a possible count.
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
