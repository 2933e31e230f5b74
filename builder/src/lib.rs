//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly
//! 3. [`verity`]: the hash tree that makes the root tamper-evident
//!
//! [`extent`] is how the later steps read what is mostly zero.

pub mod extent;
pub mod lock;
pub mod profile;
pub mod verity;
