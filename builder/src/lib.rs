//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly
//! 3. [`tree`]: all layers merged, the root as data

pub mod lock;
pub mod profile;
pub mod tree;
