//! The whole user space of a machine that only shows which version was started:
//! prints the words after `--` of the kernel's command line and, if the first is
//! `good`, switches the machine off; else it ends, and the kernel panics.

use nix::sys::reboot::{RebootMode, reboot};

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    println!("started: {}", words.join(" "));
    if words.first().is_some_and(|word| word == "good") {
        // Its only error is a lack of rights; then the kernel panics, and the test sees it.
        let _ = reboot(RebootMode::RB_POWER_OFF);
    }
}
