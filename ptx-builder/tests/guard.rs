//! Guarded kernels: the same bits inside of bounds, nothing touched outside, and the first violation told
//! with its line, its array and its element.

#[path = "guard/planted.rs"]
mod planted;
#[path = "guard/same.rs"]
mod same;
#[path = "guard/support.rs"]
mod support;
