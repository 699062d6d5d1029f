//! Every rule against central differences, first and second order, forward against reverse; conventions at kinks; what is
//! emitted and what is not.

mod differences;
mod kinks;
mod linalg;
mod listing;
