//! A machine with the stand-in in it, for tests.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use fs_err as fs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postern_contract::host::Command;
use serde_json::Value;
use tempfile::TempDir;

use super::PROGRAM;

/// A machine's root with the stand-in in it.
pub(super) struct Machine(TempDir);

impl Machine {
    pub(super) fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let program = machine.at("k3s");
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        machine
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    pub(super) fn json(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.at(path)).unwrap()).unwrap()
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        Command::new(self.at("k3s"))
            .args(args)
            .env("K3S_STAND_IN_ROOT", self.0.path())
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.command(args).run_unchecked().unwrap()
    }

    /// `k3s kubectl` that must succeed; what it printed.
    pub(super) fn kubectl(&self, args: &[&str]) -> String {
        let out = self.run(&[&["kubectl"], args].concat());
        assert!(out.status.success(), "{args:?}: {}", output_text(&out));
        String::from_utf8(out.stdout).unwrap()
    }

    /// `k3s kubectl` that must fail with 1; what it complained about.
    pub(super) fn kubectl_fails(&self, args: &[&str]) -> String {
        let out = self.run(&[&["kubectl"], args].concat());
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        output_text(&out)
    }

    /// Applies `manifest`: exit status, output and complaints.
    pub(super) fn apply(&self, manifest: &str) -> (i32, String, String) {
        self.write("manifest.yaml", manifest);
        let path = self.at("manifest.yaml");
        let out = self.run(&["kubectl", "apply", "-f", path.to_str().unwrap()]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (
            out.status.code().unwrap(),
            text(&out.stdout),
            text(&out.stderr),
        )
    }

    pub(super) fn server(&self, env: &[(&str, &str)]) -> Server {
        let path = self.at("notify.sock");
        let _ = fs::remove_file(&path);
        let notify = UnixDatagram::bind(&path).unwrap();
        notify
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut command = self.command(&["server"]).env("NOTIFY_SOCKET", &path);
        for (name, value) in env {
            command = command.env(name, value);
        }
        let child = command.spawn(Stdio::null(), Stdio::null(), Stdio::null());
        let server = Server {
            child: child.unwrap(),
            notify,
        };
        assert!(server.output_text().contains("READY=1"));
        server
    }
}

/// A running `k3s server`.
pub(super) struct Server {
    pub child: Child,
    notify: UnixDatagram,
}

impl Server {
    pub(super) fn output_text(&self) -> String {
        let mut bytes = [0; 256];
        let length = self.notify.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    pub(super) fn stop(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn output_text(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}
