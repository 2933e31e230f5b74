//! The artifacts of a finished image.

use std::path::PathBuf;

use postern_contract::seed::SeedManifest;

use super::super::bill;
use super::{Image, Root};
use crate::artifact::{
    Area, Artifact, Manifest, PACKAGES, Partition, SBOM, Staging, packages_json,
};
use crate::boot::Firmware;
use crate::disk::Disk;
use crate::profile::Output;
use crate::report::bytes;
use crate::source::Digest;
use crate::tools;

/// What is left for the user.
pub(super) struct Outputs<'a> {
    pub(super) image: &'a Image<'a>,
    pub(super) root: &'a Root,
    pub(super) uki: &'a [u8],
    pub(super) disk: &'a Disk,
}

impl Outputs<'_> {
    /// Writes all of it; the directory appears when it is complete.
    pub(super) fn commit(&self, seed: &SeedManifest) -> anyhow::Result<PathBuf> {
        let profile = self.image.locked.profile();
        let lock = self.image.locked.lock();
        let staging = Staging::begin(self.image.context.out, &profile.name, &profile.version)?;
        let artifacts = self.write(&staging)?;
        staging.write(PACKAGES, &packages_json(&lock.packages)?)?;
        staging.write(SBOM, &self.sbom()?)?;
        let manifest = Manifest {
            schema: 1,
            name: profile.name.clone(),
            version: profile.version.clone(),
            arch: profile.base.arch.debian().to_owned(),
            distro: profile.base.distro.id().to_owned(),
            release: profile.base.release.clone(),
            root_hash: self.root.hash.digest(),
            firmware: Firmware::of(profile.base.arch).to_vec(),
            artifacts,
            areas: seed.areas.iter().map(Area::from).collect(),
            partitions: seed.partitions.iter().map(Partition::from).collect(),
            lock_sha256: Digest::of(crate::lock::file::render(lock).as_bytes()),
            tools: tools::versions(lock),
            source_date_epoch: lock.source_date_epoch,
        };
        Ok(staging.commit(&manifest)?)
    }

    /// What is in the image, for programs that look for known vulnerabilities.
    fn sbom(&self) -> anyhow::Result<Vec<u8>> {
        let Image {
            locked,
            context,
            cache,
            tree,
            ..
        } = self.image;
        let bill = bill::Bill {
            locked,
            context: *context,
            cache,
            tree,
        };
        bill.write(self.root.hash, self.image.kernel()?)
    }

    fn write(&self, staging: &Staging) -> anyhow::Result<Vec<Artifact>> {
        let profile = self.image.locked.profile();
        let mut artifacts = Vec::new();
        for output in &profile.outputs {
            artifacts.push(match output {
                Output::Ddgz => {
                    let step = self.image.context.report.step("Compressing the disk");
                    let artifact = staging.ddgz(self.disk)?;
                    step.done(bytes(artifact.size));
                    artifact
                }
                Output::Raw => staging.raw(self.disk)?,
                Output::Qcow2 => staging.qcow2(self.disk)?,
                Output::Tgz => {
                    let step = self
                        .image
                        .context
                        .report
                        .step("Compressing the root's files");
                    let artifact = staging.tgz(&self.image.tree)?;
                    step.done(bytes(artifact.size));
                    artifact
                }
            });
        }
        artifacts.extend(staging.update(
            (&profile.name, &profile.version),
            self.uki,
            &self.root.squashfs,
            &self.root.verity,
        )?);
        artifacts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(artifacts)
    }
}
