//! Postern's builder, in the order of the data flow:
//!
//! 1. [`profile`]: what the user wants in the image
//! 2. [`lock`]: what that means today, exactly
//! 3. [`source`]: bytes from outside, never trusted before their digest
//! 4. [`tools`]: the programs that write the image's bytes, as locked
//! 5. [`base`]: the packages, installed once in a sandbox; the initrd
//! 6. [`layer`]: what is laid over them: agent, k3s, proxy, trust, users, overlays
//! 7. [`tree`]: all layers merged, the root as data
//! 8. [`fs`]: trees as file systems
//! 9. [`verity`]: the hash tree that makes the root tamper-evident
//! 10. [`boot`]: what the firmware starts
//! 11. [`disk`]: one GPT disk
//! 12. [`artifact`]: what is left for the user
//! 13. [`inspect`] and [`diff`]: what is in artifacts, and how two differ
//! 14. [`rehearse`]: a whole deployment on this machine
//! 15. [`maas`]: the image brought to where machines are deployed
//! 16. [`palette`]: what a gateway pairs with, and how it is
//! 17. [`deploy`]: machines made a gateway with it
//!
//! [`build`] calls 3 to 12 in this order. Beside them: [`userdata`] (what MAAS
//! gives a machine), [`builtin`] (what comes with the program), [`cache`] (what earlier builds made), [`extent`] (how to
//! read what is mostly zero), [`initramfs`] (how to read what the kernel unpacks),
//! [`report`] (what is going on), [`doctor`] (whether this machine can do it) and
//! [`host`] (the doors to the outside).

pub mod artifact;
pub mod base;
pub mod boot;
pub mod build;
pub mod builtin;
pub mod cache;
pub mod cli;
pub mod deploy;
pub mod diff;
pub mod disk;
pub mod doctor;
pub mod extent;
pub mod fs;
pub mod host;
pub mod initramfs;
pub mod inspect;
pub mod layer;
pub mod lock;
pub mod maas;
pub mod palette;
pub mod profile;
pub mod rehearse;
pub mod report;
pub mod source;
pub mod tools;
pub mod tree;
pub mod userdata;
pub mod verity;
