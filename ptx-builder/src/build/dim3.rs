//! Sizes in three dimensions.

/// The size of a grid or a block: a number for x, or an array of up to three numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dim3(pub [u32; 3]);

impl From<u32> for Dim3 {
    fn from(x: u32) -> Dim3 {
        Dim3([x, 1, 1])
    }
}

impl From<[u32; 2]> for Dim3 {
    fn from([x, y]: [u32; 2]) -> Dim3 {
        Dim3([x, y, 1])
    }
}

impl From<[u32; 3]> for Dim3 {
    fn from(shape: [u32; 3]) -> Dim3 {
        Dim3(shape)
    }
}
