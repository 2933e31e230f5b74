//! The life of a booted machine, from the gateway file to a healthy gateway.
//!
//! [`machine`] has the states, [`trouble`] why it stands still, [`journal`] what
//! was done, [`world`] what the machine offers. The steps are functions of these,
//! in the order of a first boot: [`settings`] and [`configure`] (the files;
//! [`drift`] is what they may not change any more, [`authorities`] what the machine
//! trusts, [`inheritance`] what its pods are given of that), [`online`],
//! [`shared_address`], [`cluster`], [`survey`] (preflight, also from [`pods`]),
//! [`pair`] (manifests, registration), [`scrub`] (no secret stays). [`steps`] is the
//! loop around them; [`cloud_init`] is kept off beside it. For a person there are
//! [`check`], [`bundle`], [`reset`], [`remove`]; [`hidden`] knows what must not be
//! shown, [`contact`] when Palette was heard last.
//!
//! # Later boots
//! The pairing code is needed once. [`configure`] therefore keeps everything
//! else the gateway file said in `/var/lib/postern/settings.json` (0600), and
//! [`scrub`] removes the gateway file, cloud-init's copies of it and MAAS'
//! credentials; [`cloud_init`] runs once only. A later boot configures itself from
//! the kept settings, starts k3s and believes the journal: neither MAAS nor
//! Palette is asked. A new gateway file always wins over the kept settings.

pub mod authorities;
pub mod bundle;
pub mod check;
pub mod cloud_init;
pub mod cluster;
pub mod configure;
pub mod contact;
pub mod drift;
pub mod hidden;
pub mod inheritance;
pub mod journal;
pub mod machine;
pub mod online;
pub mod pair;
pub mod pods;
pub mod remove;
pub mod reset;
pub mod scrub;
pub mod settings;
pub mod shared_address;
pub mod steps;
pub mod survey;
pub mod trouble;
pub mod world;
