//! Pinned downloads, from a server of the test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::Project;

const ROWS: &str = "id,x\n1,2\n2,3\n";

/// Serves `body` to everybody who asks; gives the address and how often it was asked.
fn serve(body: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = format!("http://{}/rows.csv", listener.local_addr().expect("it has an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = BufReader::new(stream.try_clone().expect("a socket has two sides"));
            let mut line = String::new();
            while request.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length";
            let _ = write!(stream, "{head}: {}\r\n\r\n{body}", body.len());
        }
    });
    (address, asked)
}

fn project(url: &str, pinned: &str) -> Project {
    let digest = blake3::hash(pinned.as_bytes());
    Project::new(&format!(
        "stages:
  rows:
    uses: ingest.table
    in: {{ file: {{ url: \"{url}\", blake3: {digest} }} }}
  sum:
    uses: table.sql
    in: {{ t: rows }}
    with: {{ query: SELECT SUM(x) AS s FROM t }}
"
    ))
}

#[test]
fn a_pinned_download_is_fetched_once() {
    let (url, asked) = serve(ROWS);
    let project = project(&url, ROWS);
    project.ok(&["plan"]);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "planning downloads nothing");
    project.ok(&["run"]);
    assert!(project.ok(&["show", "sum"]).stdout.contains('5'));
    assert_eq!(project.ok(&["run", "--json"]).json()["executed"], serde_json::json!([]));
    project.ok(&["run", "--force", "--offline"]);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the store has its bytes");
}

#[test]
fn other_bytes_than_those_pinned_are_refused() {
    let (url, _) = serve("id,x\n1,9\n");
    let project = project(&url, ROWS);
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("is pinned") && ran.stderr.contains(&url), "{}", ran.text());
    let objects = walkdir::WalkDir::new(project.path(".sulcus/objects")).into_iter().flatten();
    assert_eq!(objects.filter(|e| e.file_type().is_file()).count(), 0, "nothing was kept");
}

#[test]
fn offline_nothing_is_asked_for() {
    let (url, asked) = serve(ROWS);
    let ran = project(&url, ROWS).sulcus(&["run", "--offline"]);
    assert_eq!(ran.code, 1, "{}", ran.text());
    assert!(ran.stderr.contains("--offline forbids it"), "{}", ran.text());
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[test]
fn a_download_without_a_pin_and_two_sources_are_refused() {
    let project = Project::with(&[("d.csv", ROWS)]);
    for (stage, says) in [
        ("in: { file: { url: \"http://127.0.0.1:1/x\" } }", "a download is pinned"),
        ("in: { file: { file: d.csv } }\n    with: { path: d.csv }", "leave one of them out"),
        ("with: { infer_rows: 3 }", "there is nothing to read"),
    ] {
        project.write("sulcus.yaml", &format!("stages:\n  rows:\n    uses: ingest.table\n    {stage}\n"));
        let ran = project.sulcus(&["run"]);
        assert_eq!(ran.code, 2, "{}", ran.text());
        assert!(ran.stderr.contains(says), "{}", ran.text());
    }
}
