//! Addresses in the shared memory of a cluster's blocks (PTX ISA 9.7.9.23, 9.7.9.24). Where the rank lies in them is the
//! interpreter's choice, as it is hardware's.

use super::precision::integer;
use super::{Builder, opt, spec, ty, types};
use crate::table::lanes::lane;
use crate::table::slot::{dst, src};
use crate::table::{Meaning, Mod, Op, Shape, window};
use crate::types::ScalarType::{U32, U64};

pub(super) fn rows(t: &mut Builder) {
    let space = || opt(&[Mod::SharedCluster]);
    t.row(
        Op::Mapa,
        "9.7.9.23",
        "The address in block b of the cluster that is a in this one.",
        integer,
        &[space(), types(&[U32, U64])],
        |m| {
            let t = ty(m, 0);
            let mut a = src("a", t);
            a.shape = Shape::Move(t);
            let eval = lane!(|a: u64, b: u32| -> u64 { window::shared_in(a, b) });
            Some(spec([dst(t), a, src("b", U32)], Meaning::Lane(eval)).since(78, 90))
        },
    );
    t.row(
        Op::Getctarank,
        "9.7.9.24",
        "The rank in the cluster of the block that an address belongs to.",
        integer,
        &[space(), types(&[U32, U64])],
        |m| {
            let t = ty(m, 0);
            let mut a = src("a", t);
            a.shape = Shape::Move(t);
            Some(spec([dst(U32), a], Meaning::Lane(lane!(|a: u64| -> u32 { window::shared_rank(a) }))).since(78, 90))
        },
    );
}
