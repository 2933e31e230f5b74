//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly
//!
//! and beside it [`userdata`]: what makes one machine a gateway

pub mod lock;
pub mod profile;
pub mod userdata;
