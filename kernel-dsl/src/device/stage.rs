//! Staging: contiguous weights into shared memory, 16 bytes a lane.
//!
//! Rows of a quantized matrix lie one after the other, so the rows of a tile
//! are one run of bytes. A warp copies the run with full, contiguous 16-byte
//! accesses (every sector asked is used), then decodes from shared memory,
//! where odd strides cost nothing.

use ptxgen_builder::build::{AsyncBytes, Body, Pred, ReadOnly, Shared, Val};

const LANES: u32 = 32;
const CHUNK: u32 = 16;

/// How a tile gets to shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CopyMode {
    /// `cp.async` (sm_80): the warp continues while the bytes are in flight.
    Async,
    /// A load and a store, for sm_75.
    Registers,
}

/// A warp's slot for one tile in shared memory.
#[derive(Clone, Copy, Debug)]
pub struct StagedTile {
    /// Most bytes of a tile.
    pub bytes: u32,
    /// Whether every tile starts at a multiple of 16 bytes in global memory.
    pub aligned: bool,
}

impl StagedTile {
    /// Bytes of the slot: whole chunks, one more where a tile may start inside
    /// its first, and one for reads that run over by less than a word.
    pub fn slot_bytes(&self) -> u32 {
        self.chunks() * CHUNK + if self.aligned { 0 } else { CHUNK }
    }

    /// Chunks copied.
    fn chunks(&self) -> u32 {
        (self.bytes + if self.aligned { 0 } else { CHUNK - 2 }).div_ceil(CHUNK)
    }
}

/// Where a tile lies in global memory.
#[derive(Clone, Copy)]
pub struct TileSource {
    /// The tensor's first byte.
    pub base: ReadOnly<u8>,
    /// The tile's first byte, from there.
    pub offset: Val<u64>,
    /// Bytes of the tensor from the tile's first on, where a tile may end
    /// after the tensor; what is missing is filled with zeros.
    pub available: Option<Val<u32>>,
}

impl TileSource {
    #[track_caller]
    fn address(&self) -> Val<u64> {
        self.base.address() + self.offset
    }

    /// Bytes from the last 16-byte boundary to the tile.
    #[track_caller]
    fn skew(&self) -> Val<u32> {
        (self.address() & 15u64).to()
    }
}

impl StagedTile {
    /// Where the first byte of a tile lands in `slot`: at its start, or up to 14
    /// bytes after it where tiles start at odd places.
    #[track_caller]
    pub fn first_byte(&self, source: &TileSource, slot: Shared<u8>) -> Val<u32> {
        if self.aligned { slot.address() } else { slot.address() + source.skew() }
    }

    /// Starts copying a tile to `slot`; the whole warp together.
    #[track_caller]
    pub fn copy(&self, k: &Body, mode: CopyMode, source: TileSource, slot: Shared<u8>, lane: Val<u32>) {
        let address = source.address();
        let start = if self.aligned { address } else { address & !15u64 };
        let available = source.available.map(|a| if self.aligned { a } else { a + source.skew() });
        let place = lane * CHUNK;
        let from = ReadOnly::<u8>::from_address(start + place.to::<u64>());
        let to = slot.byte_at(place);
        let chunks = self.chunks();
        for round in 0..chunks.div_ceil(LANES) {
            let at = i64::from(round * LANES * CHUNK);
            let left = chunks - round * LANES;
            let here = (left < LANES).then(|| lane.lt(left));
            let room = available.map(|a| {
                // Bytes from this chunk on, clamped to a chunk.
                let end = a.max(place + at as u32);
                (end - (place + at as u32)).min(CHUNK)
            });
            copy_chunk(k, mode, from.plus_bytes(at), to.plus_bytes(at), here, room);
        }
    }
}

/// Copies 16 bytes where `here`; the bytes beyond `room` become zero.
#[track_caller]
fn copy_chunk(
    k: &Body,
    mode: CopyMode,
    from: ReadOnly<u8>,
    to: Shared<u8>,
    here: Option<Pred>,
    room: Option<Val<u32>>,
) {
    match mode {
        CopyMode::Async => k.copy_async_filled(to, from, AsyncBytes::B16, here, room),
        CopyMode::Registers => {
            let copy = |k: &Body| match room {
                None => {
                    let v = from.cast::<u32>().load_vec::<4>(k);
                    to.cast::<u32>().store_vec(k, v);
                }
                Some(room) => {
                    let whole = room.ge(CHUNK);
                    k.if_else(
                        whole,
                        |k| {
                            let v = from.cast::<u32>().load_vec::<4>(k);
                            to.cast::<u32>().store_vec(k, v);
                        },
                        // Blocks have even sizes, so half words are enough.
                        |k| {
                            for half in 0..CHUNK / 2 {
                                let inside = room.gt(2 * half);
                                let v = from.cast::<u16>().plus(half).load_or(k, inside, 0u16);
                                to.cast::<u16>().plus(half).store(k, v);
                            }
                        },
                    );
                }
            };
            match here {
                None => copy(k),
                Some(here) => k.if_(here, copy),
            }
        }
    }
}
