//! `wmma.load` and `wmma.store` (PTX ISA 9.7.14.4).

use super::Exec;
use crate::interp::state::Stop;
use crate::interp::wide::regs::Gathered;
use crate::table::{Fragment, Memory, Order, Scope, WARP};
use crate::types::ScalarType;

/// What a lane touches at once: some bytes, as memory that is accessed.
fn piece(bytes: u32) -> ScalarType {
    match bytes {
        1 => ScalarType::B8,
        2 => ScalarType::B16,
        4 => ScalarType::B32,
        _ => ScalarType::B64,
    }
}

impl Exec<'_> {
    /// Each lane's addresses, a piece of its registers at a time: the piece's first element, and where it lies.
    fn fragment(&self, fragment: &Fragment, stride: Option<u64>) -> Vec<(usize, [u64; WARP])> {
        let base = self.addresses(0);
        let stride = stride.unwrap_or(fragment.stride());
        let bits = fragment.element.bits() as u64;
        let elements = usize::from(fragment.registers) * fragment.element.per_register();
        let at = |i: usize| {
            std::array::from_fn(|lane| {
                let bytes = fragment.place(lane, i, stride).wrapping_mul(bits) / 8;
                base[lane].wrapping_add(bytes)
            })
        };
        (0..elements).step_by(fragment.together()).map(|i| (i, at(i))).collect()
    }

    fn fragment_memory(&self, fragment: &Fragment) -> Memory {
        let (ty, space) = (piece(fragment.first_bytes()), self.matrix_space());
        Memory { space, ty, len: 1, order: Order::Weak, scope: Scope::Cta, read_only: false }
    }

    /// The register and the bit in it that an element lies at.
    fn fragment_bit(fragment: &Fragment, i: usize) -> (usize, usize) {
        let per = fragment.element.per_register();
        (i / per, i % per * fragment.element.bits())
    }

    pub(super) fn load_fragment(&mut self, fragment: Fragment) -> Result<(), Stop> {
        let stride = self.src(0).map(|lanes| lanes[0]);
        let memory = self.fragment_memory(&fragment);
        let mut registers = vec![[0u64; WARP]; usize::from(fragment.registers)];
        let mut shadows: Vec<Gathered> = registers.iter().map(|_| Gathered::default()).collect();
        for (i, addresses) in self.fragment(&fragment, stride) {
            let mut values = [0u128; WARP];
            self.by_space(memory.space, &addresses, |this, space, mask, at| {
                this.load_in(space, mask, at, &memory, &mut values)
            })?;
            let (register, bit) = Self::fragment_bit(&fragment, i);
            for lane in 0..WARP {
                registers[register][lane] |= (values[lane] as u64) << bit;
            }
            // A byte of a register has no shadow of its own.
            if memory.ty.bytes() > 1 {
                self.wide_gather(&memory, (&addresses, &values), 0, (bit / 16, &mut shadows[register]));
            }
        }
        for (i, (value, shadow)) in registers.iter().zip(&shadows).enumerate() {
            self.set(i, value);
            self.wide_put(i, shadow);
        }
        Ok(())
    }

    pub(super) fn store_fragment(&mut self, fragment: Fragment) -> Result<(), Stop> {
        self.gather();
        let count = usize::from(fragment.registers);
        let stride = self.src(count).map(|lanes| lanes[0]);
        let memory = self.fragment_memory(&fragment);
        let keep = u64::MAX >> (64 - memory.ty.bits());
        for (i, addresses) in self.fragment(&fragment, stride) {
            let (register, bit) = Self::fragment_bit(&fragment, i);
            let values = self.st.src[register].map(|v| u128::from(v >> bit & keep));
            self.by_space(memory.space, &addresses, |this, space, mask, at| {
                this.store_in(space, mask, at, &memory, &values)
            })?;
            self.wide_store_of((register..register + 1, bit / 16), &memory, &addresses, &values);
        }
        Ok(())
    }
}
