//! Running other programs, through one door.
//!
//! A [`Command`] finds its program in the system's own directories, starts it
//! with an empty environment plus `LC_ALL=C.UTF-8 TZ=UTC`, ties its life to
//! ours, keeps the end of its output, and fails with a typed error that
//! shows a line a person can paste. Secrets go in by standard input or by a
//! file, never by argument.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Output, Stdio};

/// Where programs are looked for, in this order. The caller's `PATH` is
/// ignored: the same tools must be found from CI, sudo and systemd.
const PROGRAM_DIRS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// How much of a program's standard error an error message shows, in bytes.
const MAX_STDERR_BYTES: usize = 2048;

/// A program to run. Prints as a line for the shell.
#[derive(Clone, Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    inherit: bool,
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not installed.
    #[error(
        "{0} is not installed\n  help: install the package that brings it; `./just` does so in a checkout"
    )]
    Missing(String),
    /// The program could not be started or talked to.
    #[error("running `{line}`: {error}")]
    Io {
        /// The command line.
        line: String,
        /// The system's error, which the message has already.
        error: io::Error,
    },
    /// The program ran and failed.
    #[error("`{line}` failed ({status}){}", indented(.stderr))]
    Failed {
        /// The command line.
        line: String,
        /// Exit status or signal.
        status: ExitStatus,
        /// The last bytes of its standard error (or output, when that is all there is).
        stderr: String,
    },
}

fn indented(stderr: &str) -> String {
    if stderr.trim().is_empty() {
        return String::new();
    }
    let lines: Vec<_> = stderr.trim_end().lines().collect();
    format!(":\n  | {}", lines.join("\n  | "))
}

impl Command {
    /// A program by name (`mksquashfs`) or by absolute path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            inherit: false,
        }
    }

    /// Adds one argument. Never a secret: arguments show in `ps`.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable for the program.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Hands on our own environment as well: only for running ourselves again.
    #[must_use]
    pub fn with_environment(mut self) -> Self {
        self.inherit = true;
        self
    }

    /// Runs the program in `dir`.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Runs to the end with nothing on standard input; returns standard output.
    ///
    /// # Errors
    /// [`CommandError`] if the program is missing or does not exit with 0.
    pub fn run(&self) -> Result<Vec<u8>, CommandError> {
        let output = self.output(Stdio::null(), Stdio::piped(), b"")?;
        self.checked(output)
    }

    /// Like [`Command::run`], feeding `input` to standard input.
    ///
    /// # Errors
    /// See [`Command::run`].
    pub fn run_with_input(&self, input: &[u8]) -> Result<Vec<u8>, CommandError> {
        let output = self.output(Stdio::piped(), Stdio::piped(), input)?;
        self.checked(output)
    }

    /// Like [`Command::run`], with standard input and output taken from or given to files.
    ///
    /// # Errors
    /// See [`Command::run`].
    pub fn run_between(&self, stdin: Stdio, stdout: Stdio) -> Result<(), CommandError> {
        let output = self.output(stdin, stdout, b"")?;
        self.checked(output).map(|_| ())
    }

    /// Runs to the end and returns the exit status and both outputs, whatever they are.
    ///
    /// # Errors
    /// Only if the program is missing or cannot be started.
    pub fn run_unchecked(&self) -> Result<Output, CommandError> {
        self.output(Stdio::null(), Stdio::piped(), b"")
    }

    /// Starts the program; it is killed when the calling thread ends.
    ///
    /// # Errors
    /// If the program is missing or cannot be started.
    pub fn spawn(&self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Child, CommandError> {
        let mut command = self.prepare()?;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        command.spawn().map_err(|source| self.io(source))
    }

    /// Replaces this process by the program. Returns only if that fails.
    pub fn exec(&self) -> CommandError {
        match self.prepare() {
            Ok(mut command) => self.io(command.exec()),
            Err(error) => error,
        }
    }

    fn output(&self, stdin: Stdio, stdout: Stdio, input: &[u8]) -> Result<Output, CommandError> {
        let mut child = self.spawn(stdin, stdout, Stdio::piped())?;
        let pipe = child.stdin.take();
        let (output, fed) = std::thread::scope(|scope| {
            // A program may stop reading early; then its exit status says why.
            let feeder = scope.spawn(move || match pipe {
                Some(mut pipe) => pipe.write_all(input),
                None => Ok(()),
            });
            let output = child.wait_with_output();
            (output, feeder.join())
        });
        match fed {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(self.io(error)),
            _ => output.map_err(|source| self.io(source)),
        }
    }

    fn checked(&self, output: Output) -> Result<Vec<u8>, CommandError> {
        if output.status.success() {
            return Ok(output.stdout);
        }
        let output_bytes = if output.stderr.is_empty() {
            &output.stdout
        } else {
            &output.stderr
        };
        let tail = &output_bytes[output_bytes.len().saturating_sub(MAX_STDERR_BYTES)..];
        Err(CommandError::Failed {
            line: self.to_string(),
            status: output.status,
            stderr: String::from_utf8_lossy(tail).into_owned(),
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the door that all programs go through"
    )]
    #[expect(
        unsafe_code,
        reason = "pre_exec: PR_SET_PDEATHSIG is async-signal-safe and allocates nothing"
    )]
    fn prepare(&self) -> Result<std::process::Command, CommandError> {
        let program = find(&self.program)
            .ok_or_else(|| CommandError::Missing(self.program.to_string_lossy().into_owned()))?;
        let mut command = std::process::Command::new(program);
        if !self.inherit {
            command.env_clear();
        }
        command
            .args(&self.args)
            .env("PATH", PROGRAM_DIRS.join(":"))
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        // SAFETY: prctl(PR_SET_PDEATHSIG) only sets a flag of the new process.
        unsafe {
            command.pre_exec(|| {
                nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
                    .map_err(io::Error::from)
            });
        }
        Ok(command)
    }

    fn io(&self, error: io::Error) -> CommandError {
        CommandError::Io {
            line: self.to_string(),
            error,
        }
    }
}

/// The absolute path of a program, if it is installed.
pub fn find(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.is_absolute() {
        return path.exists().then(|| path.to_owned());
    }
    PROGRAM_DIRS
        .iter()
        .map(|dir| Path::new(dir).join(program))
        .find(|candidate| candidate.exists())
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.env {
            write!(f, "{}={} ", key.to_string_lossy(), quoted(value))?;
        }
        write!(f, "{}", quoted(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

/// The word as a POSIX shell must be given it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+?".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_a_line_for_the_shell() {
        let command = Command::new("tar").arg("-C").arg("/a b").arg("it's");
        assert_eq!(command.to_string(), r"tar -C '/a b' 'it'\''s'");
    }

    #[test]
    fn starts_with_a_clean_environment() {
        let out = Command::new("env").env("KEY", "value").run().unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut keys: Vec<_> = text.lines().filter_map(|l| l.split('=').next()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["KEY", "LC_ALL", "PATH", "TZ"], "{text}");
    }

    #[test]
    fn a_failure_shows_the_line_and_the_last_words() {
        let command = Command::new("sh").arg("-c").arg("echo no disk >&2; exit 7");
        let error = command.run().unwrap_err().to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("no disk"), "{error}");
    }

    #[test]
    fn a_missing_program_says_so() {
        let error = Command::new("no-such-program").run().unwrap_err();
        assert!(matches!(error, CommandError::Missing(name) if name == "no-such-program"));
    }

    #[test]
    fn input_larger_than_a_pipe_comes_back_whole() {
        let input = vec![7_u8; 1 << 20];
        assert_eq!(Command::new("cat").run_with_input(&input).unwrap(), input);
    }
}
