//! What to do about a refusal, by the message of MAAS.

/// Parts of messages, and what to do.
type Remedies = [(&'static str, &'static str)];

const DEFAULT: &str = "read the region's log (regiond.log)";

/// Refusals of requests about images.
const IMAGES: &Remedies = &[
    (
        "No space left",
        "free space on the region controller, where MAAS stores images",
    ),
    (
        "reserved name",
        "change the name in the profile and build again",
    ),
    (
        "Unsupport",
        "change the name in the profile and build again",
    ),
    (
        "at most 255 characters",
        "shorten name or version in the profile and build again",
    ),
    (
        "is not a valid architecture",
        "select an Ubuntu release of that architecture in MAAS and wait until every region controller has synced it",
    ),
    (
        "base image",
        "set --base-image to an Ubuntu release that MAAS has synced, such as ubuntu/noble",
    ),
    ("different size", "run `postern verify` on the image"),
    (
        "does not match given SHA256",
        "bytes were damaged or duplicated on the way, twice: look for a proxy that changes them, and upload from one place only; if postern did not upload the image that is there, delete it first",
    ),
    (
        "Unknown API endpoint",
        "give the address as http://REGION:5240/MAAS",
    ),
];

/// Refusals of requests about machines.
const MACHINES: &Remedies = &[
    (
        "distro_series",
        "upload the image with `postern upload`; `postern upload --list` shows what MAAS has",
    ),
    (
        "storage:",
        "give the machine any storage layout in MAAS; the image replaces it",
    ),
    (
        "network:",
        "configure an interface of the machine in MAAS, with a subnet and an address",
    ),
    (
        "render preseed",
        "read the region's log (regiond.log); check custom preseed templates",
    ),
    (
        "address exhaustion",
        "free addresses of the machine's subnet; MAAS counts reserved ranges as used",
    ),
    ("No such", "correct the block `maas` of the gateway file"),
];

/// What to do about a refused request about an image.
pub(super) fn about_image(status: u16, message: &str) -> &'static str {
    match status {
        403 => "use the API key of a MAAS administrator",
        413 => "let the proxy in front of MAAS accept request bodies of 8 MiB",
        _ => find(IMAGES, message).unwrap_or(DEFAULT),
    }
}

/// What to do about a refused request about a machine.
pub(super) fn about_machine(status: u16, message: &str) -> &'static str {
    match (status, find(MACHINES, message)) {
        (403, _) => "use the API key of a user who may deploy the machine, or another pool",
        (_, Some(remedy)) => remedy,
        (409, None) => "check in MAAS who uses the machine now",
        (_, None) => DEFAULT,
    }
}

fn find(remedies: &Remedies, message: &str) -> Option<&'static str> {
    let mut remedies = remedies.iter();
    let found = remedies.find(|(part, _)| message.contains(part));
    found.map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_a_remedy() {
        for (status, message, wanted) in [
            (
                400,
                "distro_series: 'custom/x' is not a valid distro_series.",
                "postern upload",
            ),
            (
                400,
                "storage: Mount the root '/' filesystem",
                "storage layout",
            ),
            (
                400,
                "network: Node must be configured to use a network",
                "interface",
            ),
            (400, "Failed to render preseed: x", "regiond.log"),
            (
                503,
                "Unable to allocate static IP due to address exhaustion.",
                "addresses",
            ),
            (400, "tags: No such tag(s): 'foo'.", "gateway file"),
            (403, "Forbidden", "API key"),
            (
                409,
                "Can't deploy a machine that is in the 'Deployed' state",
                "who uses",
            ),
            (500, "what", "regiond.log"),
        ] {
            assert!(about_machine(status, message).contains(wanted), "{message}");
        }
    }
}
