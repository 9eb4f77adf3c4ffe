//! Shadow precision: errors against arithmetic without rounding, and the lines that they come from.

mod fragments;
mod functions;
mod matrices;
mod paths;
mod planted;
mod properties;
