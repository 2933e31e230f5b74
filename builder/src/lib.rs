//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly

pub mod lock;
pub mod profile;
