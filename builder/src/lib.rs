//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly
//! 3. [`source`]: bytes from outside, never trusted before their digest
//!
//! Beside them: [`report`] (what is going on) and [`host`] (the doors to the outside).

pub mod host;
pub mod lock;
pub mod profile;
pub mod report;
pub mod source;
