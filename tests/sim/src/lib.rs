//! Stand-ins for MAAS, curtin, Palette, a site's proxy, S3 and k3s, for
//! tests and rehearsals. **None of this is the real thing**, and nothing here
//! was compared with a live Palette; every module says what is documented, what
//! was seen on the real thing, and what is assumed.
//!
//! | stand-in | what it can do | what it assumes |
//! |---|---|---|
//! | [`palette`] | pairing codes, manifests, registration, the stages of a gateway, request limits, faults on demand; over real TLS, checked against the published API | U1 who calls `register`, U2 and U5 what a manifest is and holds, U3 and U9 codes and errors, U10 the meaning of states |
//! | [`curtin`] | what curtin does after writing a disk image, in a small machine of its own | see there |
//! | [`maas`] | one machine's metadata, user-data, status reports and image; what curtin is given | wording of answers that no client reads |
//! | [`maas::region`] | a region's images and their upload, with MAAS' own refusals and faults on demand | what the web server before it answers |
//! | [`proxy`] | CONNECT and plain requests, a login, interception, faults; never leaves the machine | nothing |
//! | [`archive`] | a signed Debian or Ubuntu archive of small packages | nothing |
//! | [`s3`] | one bucket with signed URLs: what a pool of packages and layers needs | nothing |
//! | [`k3s`] | a program that configures, refuses and applies like k3s and kubectl, and runs nothing | that a deployment comes up |
//!
//! The numbers are those of the open questions about Palette: U1 caller, rights
//! and uid of `POST /v1/pcg/{uid}/register` · U2 whether a manifest needs a key
//! beside the code · U3 how codes look and expire · U4 how jet and ally
//! authenticate (not simulated) · U5 what manifests contain · U6 whether MAAS is a
//! cloud type of self-hosted gateways (accepted here) · U7 whether k3s is a
//! tested host (not simulated) · U8 the format of `pcg.yaml` (not simulated) ·
//! U9 the 4xx codes · U10 `isActive`, `isReady` and states · U11 a manifest on a
//! machine that was deployed again (accepted here).
//!
//! A stand-in is started on a loopback address (port 0 takes a free one), runs
//! on tokio's tasks, ends when it is dropped, and records what happens in an
//! [`events::EventLog`] that all of them can share: await its events instead of
//! sleeping. Time is a [`clock::Clock`], so that codes can grow old in a test.

pub mod archive;
pub mod clock;
pub mod curtin;
pub mod events;
pub mod k3s;
pub mod maas;
pub mod palette;
pub mod proxy;
pub mod s3;
mod server;
pub mod tls;
