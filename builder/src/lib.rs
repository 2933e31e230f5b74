//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly
//! 3. [`source`]: bytes from outside
//! 4. [`verity`]: the hash tree that makes the root tamper-evident
//! 5. [`boot`]: what the firmware starts
//! 6. [`disk`]: partitions, tables, the disk as a whole
//! 7. [`artifact`]: what a build leaves
//!
//! [`extent`] is how the later steps read what is mostly zero.

pub mod artifact;
pub mod boot;
pub mod disk;
pub mod extent;
pub mod lock;
pub mod profile;
pub mod source;
pub mod verity;
