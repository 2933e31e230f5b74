//! What the machine offers its agent, as one value: a test hands in another.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use postern_contract::host::http::{Client, MakeClient};
use postern_contract::host::pace::{Pace, RealPace};
use postern_contract::paths;

use super::pods::{Namespaces, Pods};
use crate::host::events::Events;
use crate::host::kubectl::{Cluster, K3s};
use crate::host::mounts::{Access, remount, sync_file_system};
use crate::host::network::{Network, RealNetwork};
use crate::host::services::{Services, Systemd};
use crate::journal::{JournalFile, JournalStore};

/// How long a proxy may take to answer: it may have to reach Palette first.
const PROXY_RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// How the file system of a path is put on its disk.
pub type SyncFileSystem = dyn Fn(&Path) -> io::Result<()> + Send + Sync;

/// Where cloud-init and k3s write; both are on the partition `state`.
const WRITTEN_BY_OTHERS: [&str; 2] = ["/etc", "/var"];

/// The machine.
#[derive(Clone)]
pub struct World {
    /// Where `/` is.
    pub root: Root,
    /// The service manager.
    pub services: Arc<dyn Services>,
    /// The cluster on this machine.
    pub cluster: Arc<dyn Cluster>,
    /// The pods on this machine.
    pub pods: Arc<dyn Pods>,
    /// The network.
    pub network: Rc<dyn Network>,
    /// Clock, waits, jitter.
    pub pace: Rc<dyn Pace>,
    /// Where the journal is kept.
    pub keeper: Rc<dyn JournalStore>,
    /// How long a proxy may take to answer.
    pub proxy_timeout: Duration,
    /// The only maker of HTTP clients.
    pub client: Rc<MakeClient>,
    /// How a folder is watched.
    pub watch: fn(&Path) -> io::Result<Events>,
    /// How the seed partition is made writable, and read-only again.
    pub remount: fn(&Path, Access) -> io::Result<()>,
    /// How the file system of a path is put on its disk.
    pub sync_file_system: Arc<SyncFileSystem>,
    /// Names this boot.
    pub boot_id: String,
    /// The machine's own name.
    pub host_name: String,
}

/// The directory that stands for `/`.
#[derive(Clone, Debug)]
pub struct Root(pub PathBuf);

impl Root {
    /// An absolute path under this root.
    pub fn at(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

impl World {
    /// The machine this process runs on.
    ///
    /// # Errors
    /// If the kernel does not name this boot.
    pub fn real() -> io::Result<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let host_name = nix::unistd::gethostname()?;
        let root = Root(PathBuf::from("/"));
        Ok(Self {
            keeper: Rc::new(JournalFile(root.at(paths::JOURNAL))),
            root,
            services: Arc::new(Systemd),
            cluster: Arc::new(K3s),
            pods: Arc::new(Namespaces::default()),
            network: Rc::new(RealNetwork),
            pace: Rc::new(RealPace),
            proxy_timeout: PROXY_RESPONSE_TIMEOUT,
            client: Rc::new(Client::new),
            watch: Events::in_folder,
            remount,
            sync_file_system: Arc::new(sync_file_system),
            boot_id: boot_id.trim().to_owned(),
            host_name: host_name.to_string_lossy().into_owned(),
        })
    }

    /// Asks the service manager or the cluster without stopping everything else.
    pub async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Services, &dyn Cluster) -> T + Send + 'static,
    ) -> T {
        let (services, cluster) = (Arc::clone(&self.services), Arc::clone(&self.cluster));
        self.run_blocking(move || query(&*services, &*cluster))
            .await
    }

    /// Puts on the disk what cloud-init, k3s and everybody else wrote to `/etc`
    /// and `/var`. Goes before every note that such work is done: others do not
    /// sync what they write, the agent does, and a power cut then leaves the note
    /// without the work.
    ///
    /// # Errors
    /// What the disk refused, naming the path.
    pub async fn sync(&self) -> io::Result<()> {
        let sync = Arc::clone(&self.sync_file_system);
        let paths = WRITTEN_BY_OTHERS.map(|path| self.root.at(path));
        self.run_blocking(move || paths.iter().try_for_each(|path| sync(path)))
            .await
    }

    /// Does what takes long on another thread.
    pub async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels; then nobody waits for this.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
