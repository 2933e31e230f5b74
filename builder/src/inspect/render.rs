//! The inspection as text.

use std::fmt::{self, Write};

use jiff::Timestamp;

use super::requests::Request;
use super::sizes::Sizes;
use super::weight::Weight;
use super::{Account, Inspection, Login};
use crate::boot::Microcode;
use crate::report::bytes;

/// Most rows of each list of [`render_sizes`].
const MAX_ROWS: usize = 15;

/// Most packages that a row of [`render_sizes`] names.
const MAX_BROUGHT: usize = 3;

/// The inspection as text; `now` decides which certificates have expired.
pub fn render(found: &Inspection, now: Timestamp) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, found, now);
    text
}

fn write(text: &mut String, found: &Inspection, now: Timestamp) -> fmt::Result {
    let Inspection {
        name,
        version,
        distro,
        release,
        arch,
        ..
    } = found;
    writeln!(text, "{name} {version}: {distro} {release} {arch}")?;
    let firmware: Vec<_> = found.firmware.iter().map(|f| f.name()).collect();
    let firmware = firmware.join(" and ");
    writeln!(
        text,
        "\ndisk: {}, boots by {firmware}",
        bytes(found.disk_size)
    )?;
    for area in &found.areas {
        let (size, at) = (bytes(area.size), area.offset);
        writeln!(
            text,
            "  {:<14} {size:>7}  at {at:<10} {}",
            area.label, area.sha256
        )?;
    }
    for p in &found.partitions {
        let (size, at) = (bytes(p.size), p.offset);
        writeln!(text, "  {:<14} {size:>7}  at {at:<10} {}", p.label, p.guid)?;
    }
    writeln!(text, "\nroot hash: {}", found.root_hash)?;
    if found.contradictions.is_empty() {
        let agree = "hash tree, kernel command line and partition GUIDs agree";
        writeln!(text, "  {agree}")?;
    }
    for clause in &found.contradictions {
        writeln!(text, "  CONTRADICTION: {clause}")?;
    }
    writeln!(text, "\nkernel: {}\n  {}", found.kernel, found.cmdline)?;
    microcode(text, &found.microcode)?;
    gateway(text, found)?;
    certificates(text, found, now)?;
    users(text, &found.users)?;
    privileged(text, found)?;
    units(text, found)?;
    writeln!(text, "\npackages: {}", found.packages.len())?;
    for package in &found.packages {
        writeln!(text, "  {} {}", package.name, package.version)?;
    }
    Ok(())
}

fn microcode(text: &mut String, found: &[Microcode]) -> fmt::Result {
    let each = |m: &Microcode| format!("{} {}", m.vendor.name(), bytes(m.size));
    match found.iter().map(each).collect::<Vec<_>>().as_slice() {
        [] => writeln!(text, "  microcode: none"),
        all => writeln!(text, "  microcode: {}", all.join(", ")),
    }
}

fn gateway(text: &mut String, found: &Inspection) -> fmt::Result {
    match &found.k3s {
        Some(k3s) => {
            let what = if k3s.stand_in {
                ", a STAND-IN that runs no containers"
            } else {
                ""
            };
            writeln!(text, "\nk3s: {}{what}, {}", k3s.version, bytes(k3s.size))?;
            for images in &k3s.images {
                writeln!(text, "  images: {images}")?;
            }
        }
        None => writeln!(text, "\nk3s: none")?,
    }
    let Some(proxy) = &found.proxy else {
        return writeln!(text, "\nproxy: none");
    };
    let direct = proxy.no_proxy.join(", ");
    let (http, https) = (&proxy.http, &proxy.https);
    writeln!(
        text,
        "\nproxy: {http} for http, {https} for https\n  direct: {direct}"
    )
}

fn certificates(text: &mut String, found: &Inspection, now: Timestamp) -> fmt::Result {
    let others = found.certificates.others;
    let added = found.certificates.added.len();
    writeln!(
        text,
        "\ncertificates: {added} added, {others} of the distribution"
    )?;
    for added in &found.certificates.added {
        let until = added.not_after.strftime("%Y-%m-%d");
        let expired = if added.not_after < now {
            "EXPIRED"
        } else {
            "until"
        };
        let trusted = match added.trusted {
            true => "",
            false => " (NOT in the bundle that programs read)",
        };
        writeln!(text, "  {} {expired} {until}{trusted}", added.subject)?;
        writeln!(text, "    sha256 {}", added.sha256)?;
    }
    Ok(())
}

fn users(text: &mut String, users: &[Account]) -> fmt::Result {
    let shown = |a: &&Account| a.uid == 0 || a.can_log_in() || (a.uid >= 1000 && a.has_shell());
    let others = users.iter().filter(|a| !shown(a)).count();
    writeln!(text, "\nusers:")?;
    for account in users.iter().filter(shown) {
        let login = match account.login {
            Login::Locked => "no password",
            Login::Password => "PASSWORD IN THE IMAGE",
            Login::Open => "OPEN: EMPTY PASSWORD",
        };
        let keys = match account.keys {
            0 => "no keys".to_owned(),
            1 => "1 key".to_owned(),
            n => format!("{n} keys"),
        };
        let sudo = if account.sudo { ", sudo" } else { "" };
        let (name, uid, shell) = (&account.name, account.uid, &account.shell);
        writeln!(text, "  {name} ({uid}) {shell}: {login}, {keys}{sudo}")?;
    }
    writeln!(text, "  and {others} that cannot log in")
}

fn privileged(text: &mut String, found: &Inspection) -> fmt::Result {
    let count = found.privileged.len();
    writeln!(
        text,
        "\nset-user-ID, set-group-ID and capabilities: {count}"
    )?;
    for file in &found.privileged {
        let capabilities = file.capabilities.as_deref().unwrap_or_default();
        let line = format!(
            "  {} {}:{} {} {capabilities}",
            file.mode, file.uid, file.gid, file.path
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn units(text: &mut String, found: &Inspection) -> fmt::Result {
    writeln!(text, "\nunits enabled: {}", found.units.enabled.len())?;
    for unit in &found.units.enabled {
        writeln!(text, "  {} by {}", unit.unit, unit.by.join(", "))?;
    }
    writeln!(text, "units masked: {}", found.units.masked.join(", "))
}

/// The sizes as text.
pub fn render_sizes(sizes: &Sizes) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_sizes(&mut text, sizes);
    text
}

fn write_sizes(text: &mut String, sizes: &Sizes) -> fmt::Result {
    writeln!(text, "partitions")?;
    for fill in &sizes.partitions {
        let (label, size) = (&fill.label, bytes(fill.size));
        match fill.used {
            Some(used) => {
                let percent = used.saturating_mul(100) / fill.size.max(1);
                let used = bytes(used);
                writeln!(text, "  {label:<14} {used:>7} of {size:>7}  {percent:>3} %")?;
            }
            None => writeln!(text, "  {label:<14}       ? of {size:>7}")?,
        }
    }
    let files = bytes(sizes.weights.files);
    writeln!(text, "\nthe root's files: {files} before compression")?;
    table(text, "packages", &sizes.weights.packages)?;
    write_requests(text, &sizes.requests)?;
    table(text, "directories", &sizes.weights.directories)?;
    table(text, "files", &sizes.weights.largest)
}

fn write_requests(text: &mut String, requests: &[Request]) -> fmt::Result {
    if requests.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\nlargest requests of the profile, with what only they bring"
    )?;
    let (alone, others): (Vec<_>, Vec<_>) = requests.iter().partition(|r| r.alone > 0);
    for request in alone.iter().take(MAX_ROWS) {
        let brings = request.brings.iter().take(MAX_BROUGHT);
        let brings = brings.map(|w| format!("{} {}", w.name, bytes(w.size)));
        let mut line = brings.collect::<Vec<_>>().join(", ");
        if let Some(more @ 1..) = request.brings.len().checked_sub(MAX_BROUGHT) {
            line.push_str(&format!(" and {more} more"));
        }
        if request.shared > 0 {
            let shared = bytes(request.shared);
            line.push_str(&format!("; {shared} that others bring too"));
        }
        let (size, name) = (bytes(request.alone), &request.name);
        writeln!(text, "  {size:>7}  {name}: {line}")?;
    }
    let smaller = alone.len().saturating_sub(MAX_ROWS);
    if smaller > 0 {
        writeln!(text, "  and {smaller} smaller ones")?;
    }
    match others.len() {
        0 => Ok(()),
        count => writeln!(text, "  and {count} that others bring as well"),
    }
}

fn table(text: &mut String, title: &str, weights: &[Weight]) -> fmt::Result {
    writeln!(text, "\nlargest {title}")?;
    for weight in weights.iter().take(MAX_ROWS) {
        writeln!(text, "  {:>7}  {}", bytes(weight.size), weight.name)?;
    }
    match weights.len().checked_sub(MAX_ROWS) {
        None | Some(0) => Ok(()),
        Some(more) => {
            let rest = weights.iter().skip(MAX_ROWS).map(|w| w.size).sum();
            writeln!(text, "  {:>7}  in {more} more", bytes(rest))
        }
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
