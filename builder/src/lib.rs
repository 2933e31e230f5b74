//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly
//! 3. [`layer`]: what makes an appliance of a distribution, one reason each
//! 4. [`tree`]: all layers merged, the root as data
//! 5. [`fs`]: trees and files as file system images

pub mod fs;
pub mod layer;
pub mod lock;
pub mod profile;
pub mod tree;
