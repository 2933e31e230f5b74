use std::io;
use std::sync::Mutex;

use super::*;

/// A writer that the test can read.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    /// What was written, with the same times in every run.
    fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.replace("0.0 s", "T").replace("0.1 s", "T")
    }
}

fn story(report: &Report) {
    let fetch = report.step("Fetching packages");
    let count = report.step_of("Counting", Unit::Items);
    fetch.progress(5, 10);
    count.progress(1, 3);
    count.status("at two");
    fetch.note("the mirror is slow");
    report.note("hello");
    fetch.done("2 packages");
    drop(count);
}

#[test]
fn plain_lines_report_beginnings_and_ends() {
    let out = Shared::default();
    story(&Report::plain(out.clone()));
    insta::assert_snapshot!(out.text(), @r"
    Fetching packages ...
    Counting ...
    Counting: at two
    note: the mirror is slow
    note: hello
    Fetching packages: 2 packages (T)
    Counting: failed (T)
    ");
}

#[test]
fn a_ci_log_folds_by_step_and_never_overlaps() {
    let out = Shared::default();
    story(&Report::grouped(ci::Service::GitHub, out.clone()));
    insta::assert_snapshot!(out.text(), @r"
    ::group::Fetching packages
    Counting ...
    Counting: at two
    note: the mirror is slow
    note: hello
    Fetching packages: 2 packages (T)
    ::endgroup::
    Counting: failed (T)
    ");
    let out = Shared::default();
    Report::grouped(ci::Service::GitLab, out.clone())
        .step("One")
        .done("");
    let text = out.text();
    let sections: Vec<_> = text.matches("section_").collect();
    assert_eq!(sections.len(), 2, "{text:?}");
    assert!(text.contains(":postern_0\r\x1b[0KOne\n"), "{text:?}");
}

#[test]
fn json_lines_are_one_object_each() {
    let out = Shared::default();
    story(&Report::json(out.clone()));
    let events: Vec<serde_json::Value> = out
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<_> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "started", "started", "progress", "progress", "status", "note", "note", "done",
            "failed"
        ]
    );
    assert_eq!(events[2]["done"], 5);
    assert_eq!(events[3]["unit"], "items");
    assert_eq!(events[4]["text"], "at two");
    assert_eq!(events[6]["step"], serde_json::Value::Null);
    assert_eq!(events[7]["summary"], "2 packages");
}

#[test]
fn a_closed_writer_stops_nothing() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    story(&Report::json(Gone));
    story(&Report::quiet());
    story(&Report::terminal());
}

#[test]
fn times_read_well() {
    let cases = [
        (40, "0.0 s"),
        (12_360, "12.4 s"),
        (59_960, "1 min 00 s"),
        (187_000, "3 min 07 s"),
    ];
    for (ms, text) in cases {
        assert_eq!(seconds(Duration::from_millis(ms)), text);
    }
}
