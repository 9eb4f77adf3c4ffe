//! Whose the error of a sum of products is.

use super::*;

const PC: u32 = 99;

/// Elements: values, errors, and the instruction that each is of (10 and more for `a`, 30 and more for `b`).
fn elements(first: u32, of: &[(f64, f64)]) -> Vec<Number> {
    (first..).zip(of).map(|(who, (v, e))| (*v, *e, Who::introduced(who))).collect()
}

#[test]
fn errors_of_sums_of_products() {
    let c = |v: f64, e: f64| (v, e, Who::introduced(50));
    let own = Who::introduced(PC);
    let (a, b) = (Who::introduced(10), Who::introduced(30));
    let large = 2f64.powi(60);
    type Side<'a> = &'a [(f64, f64)];
    type Expected = (f64, Who);
    let cases: [(Side, Side, Number, f64, Expected); 14] = [
        (&[(2.0, 0.0)], &[(3.0, 0.0)], c(1.0, 0.0), 7.0, (0.0, own)),
        // Of the instruction: what it rounded, also where f64 does not hold the sum.
        (&[(2.0, 0.0)], &[(3.0, 0.0)], c(1.0, 0.0), 7.5, (-0.5, own)),
        (&[(1.0, 0.0)], &[(1.0, 0.0)], c(large, 0.0), large, (1.0, own)),
        (&[(1.0, 0.0), (-1.0, 0.0)], &[(large, 0.0), (large, 0.0)], c(1.0, 0.0), 0.0, (1.0, own)),
        // Of an element: errors times values, and each other.
        (&[(2.0, 0.5)], &[(3.0, 0.0)], c(1.0, 0.0), 7.0, (1.5, a)),
        (&[(2.0, 0.0)], &[(3.0, 0.5)], c(1.0, 0.0), 7.0, (1.0, b)),
        (&[(2.0, 0.5)], &[(3.0, 0.25)], c(1.0, 0.0), 7.0, (2.125, a)),
        (&[(2.0, 0.0)], &[(3.0, 0.0)], c(1.0, 0.25), 7.0, (0.25, Who::introduced(50))),
        (&[(2.0, 0.0), (1.0, -0.5)], &[(3.0, 0.0), (1.0, 0.0)], c(1.0, 0.25), 8.0, (-0.25, Who::introduced(11))),
        // As much by the instruction as by an element is the instruction's.
        (&[(2.0, 0.5)], &[(1.0, 0.0)], c(0.0, 0.0), 1.5, (1.0, own)),
        // Cancelled: an error of 1/8 of the elements' becomes one of half of the result, four times as much.
        (&[(4.0, 0.5)], &[(1.0, 0.0)], c(-3.0, 0.0), 1.0, (0.5, a)),
        (&[(4.0, -0.5)], &[(1.0, 0.0)], c(-3.0, 0.0), 1.0, (-0.5, a.amplified(PC, 4.0))),
        (&[(4.0, 0.5)], &[(1.0, 0.0)], c(-4.0, 0.0), 0.0, (0.5, a.amplified(PC, 8.0))),
        (&[(f64::INFINITY, 0.0)], &[(1.0, 0.0)], c(0.0, 0.0), f64::INFINITY, (0.0, Who::NONE)),
    ];
    for (i, (x, y, c, r, expected)) in cases.into_iter().enumerate() {
        assert_eq!(dot(PC, elements(10, x).into_iter().zip(elements(30, y)), c, r), expected, "{i}");
    }
}

/// An element of nothing has no relative error, and one without an error is nobody's.
#[test]
fn the_largest_part_is_whose_it_is() {
    let mut largest = Largest { part: 0.0, who: Who::NONE, before: 0.0 };
    for (term, part, who, now) in [
        (8.0, 0.0, 1, (0.0, None, 0.0)),
        (0.0, 2.0, 2, (2.0, Some(2), 0.0)),
        (8.0, -2.0, 3, (2.0, Some(2), 0.25)),
        (-8.0, 4.0, 4, (4.0, Some(4), 0.5)),
        (1.0, -0.25, 5, (4.0, Some(4), 0.5)),
    ] {
        largest.add(term, part, Who::introduced(who));
        assert_eq!((largest.part, largest.who.introducer(), largest.before), now, "{who}");
    }
}
